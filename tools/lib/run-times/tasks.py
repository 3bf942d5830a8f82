"""asyncio (sockets, a child, threads) and multiprocessing with each way to start a process."""
import asyncio, multiprocessing


def square(x):
    return x * x


async def serve(reader, writer):
    writer.write(b"hello " + await reader.readline())
    await writer.drain()
    writer.close()


async def client(port, i):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"%d\n" % i)
    text = await reader.read()
    writer.close()
    return text == b"hello %d\n" % i


async def tasks():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    good = sum(await asyncio.gather(*[client(port, i) for i in range(100)]))
    child = await asyncio.create_subprocess_exec("/bin/echo", "child", stdout=asyncio.subprocess.PIPE)
    text = (await child.communicate())[0]
    squares = await asyncio.gather(*[asyncio.to_thread(square, i) for i in range(50)])
    return good, text.decode().strip(), sum(squares)


if __name__ == "__main__":
    print("ok", *asyncio.run(tasks()), end="")
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        with context.Pool(3) as pool:
            print("", method, sum(pool.map(square, range(200))), end="")
        queue = context.Queue()
        children = [context.Process(target=queue.put, args=(i,)) for i in range(3)]
        for child in children:
            child.start()
        print("", sum(queue.get(timeout=100) for _ in children), end="")
        for child in children:
            child.join()
    print()
