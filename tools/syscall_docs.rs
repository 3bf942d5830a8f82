//! Prints `docs/syscalls.md`: the system call table as a page. `tools/syscall-docs` writes the file.

#[path = "../tests/syscall_page/mod.rs"]
mod syscall_page;

fn main() {
    print!("{}", syscall_page::page());
}
