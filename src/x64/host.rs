//! What the host processor has: the instruction set extensions that change what is emitted, each of which can be
//! switched off.

macro_rules! host_features {
    ($( $(#[$doc:meta])* $name:ident [$($cpuid:tt),*] needs [$($need:ident),*]; )*) => {
        /// Host features that change what is emitted. The floor is x86-64-v2 (SSE4.2, SSSE3, POPCNT).
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
        pub struct HostFeatures {
            $( $(#[$doc])* pub $name: bool, )*
        }

        impl HostFeatures {
            /// Names of the features, those that others need first.
            pub const NAMES: &'static [&'static str] = &[ $( stringify!($name), )* ];

            /// What CPUID shows and the operating system has enabled.
            pub fn detect() -> HostFeatures {
                HostFeatures {
                    $( $name: true $( && std::arch::is_x86_feature_detected!($cpuid) )*, )*
                }
                .closed()
            }

            /// Switches `name` off, and what needs it. False if there is no feature of that name.
            pub fn disable(&mut self, name: &str) -> bool {
                match name {
                    $( stringify!($name) => self.$name = false, )*
                    _ => return false,
                }
                *self = self.closed();
                true
            }

            /// Without the features whose prerequisites are missing. (Rows come after those they need.)
            fn closed(mut self) -> HostFeatures {
                $( self.$name &= true $( && self.$need )*; )*
                self
            }
        }
    };
}

host_features! {
    avx ["avx"] needs [];
    fma ["fma"] needs [avx];
    f16c ["f16c"] needs [avx];
    avx2 ["avx2"] needs [avx];
    lzcnt ["lzcnt"] needs [];
    bmi1 ["bmi1"] needs [];
    bmi2 ["bmi2"] needs [];
    aes ["aes"] needs [];
    pclmul ["pclmulqdq"] needs [];
    sha ["sha"] needs [];
    gfni ["gfni"] needs [];
    avx_vnni ["avxvnni"] needs [avx2];
    /// The common subset: F, VL, BW, DQ and CD.
    avx512 ["avx512f", "avx512vl", "avx512bw", "avx512dq", "avx512cd"] needs [avx2, fma, f16c];
    avx512_vbmi ["avx512vbmi"] needs [avx512];
    avx512_vbmi2 ["avx512vbmi2"] needs [avx512];
    avx512_bitalg ["avx512bitalg", "avx512vpopcntdq"] needs [avx512];
    avx512_vnni ["avx512vnni"] needs [avx512];
    avx512_bf16 ["avx512bf16"] needs [avx512];
    avx512_fp16 ["avx512fp16"] needs [avx512];
    vaes ["vaes"] needs [avx2, aes];
    vpclmul ["vpclmulqdq"] needs [avx2, pclmul];
}

impl HostFeatures {
    /// This without the features in `names` and what needs them.
    ///
    /// # Errors
    /// The first name that is no feature's.
    pub fn without<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Result<HostFeatures, &'a str> {
        for name in names {
            if !self.disable(name) {
                return Err(name);
            }
        }
        Ok(self)
    }

    /// All that `self` has, nothing, and for each feature it has all that remains without it.
    pub fn variants(self) -> Vec<HostFeatures> {
        let mut variants = vec![self, HostFeatures::default()];
        for name in HostFeatures::NAMES {
            let mut less = self;
            less.disable(name);
            if !variants.contains(&less) {
                variants.push(less);
            }
        }
        variants
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_missing_feature_goes_with_it() {
        let all = HostFeatures {
            avx: true,
            avx2: true,
            fma: true,
            f16c: true,
            gfni: true,
            avx512: true,
            avx512_fp16: true,
            ..HostFeatures::default()
        };
        let less = all.without(["avx2"]).unwrap();
        assert!(less.avx && less.fma && less.gfni);
        assert!(!less.avx512 && !less.avx512_fp16);
        assert_eq!(
            all.without(["avx"]).unwrap(),
            HostFeatures {
                gfni: true,
                ..HostFeatures::default()
            }
        );
        assert_eq!(all.without(["gfni", "sse9"]), Err("sse9"));
    }

    #[test]
    fn variants_leave_out_each() {
        let host = HostFeatures::detect();
        let variants = host.variants();
        assert_eq!(variants[..2], [host, HostFeatures::default()]);
        assert!(variants.iter().skip(1).all(|v| *v != host));
    }
}
