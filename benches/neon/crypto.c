/* The cryptographic instructions: AES-128 in counter mode, GHASH by VMULL.P64, SHA-1 and SHA-256 compressions. */
#include "neon.h"
enum { N = 4096 };
static uint8_t data[N];
static uint8x16_t keys[11];
static uint32_t k256[64];

static uint8x16_t aes(uint8x16_t x)
{
    for (int i = 0; i < 9; i++) x = vaesmcq_u8(vaeseq_u8(x, keys[i]));
    return veorq_u8(vaeseq_u8(x, keys[9]), keys[10]);
}

static uint8x16_t unaes(uint8x16_t x)
{
    for (int i = 10; i > 1; i--) x = vaesimcq_u8(vaesdq_u8(x, keys[i]));
    return veorq_u8(vaesdq_u8(x, keys[1]), keys[0]);
}

static void counter_mode(uint32_t nonce)
{
    uint32x4_t counter = vdupq_n_u32(nonce);
    for (int i = 0; i < N; i += 32) {
        uint8x16_t a = aes(vreinterpretq_u8_u32(counter));
        counter = vsetq_lane_u32(i, counter, 3);
        uint8x16_t b = unaes(vreinterpretq_u8_u32(counter));
        vst1q_u8(data + i, veorq_u8(vld1q_u8(data + i), a));
        vst1q_u8(data + i + 16, veorq_u8(vld1q_u8(data + i + 16), b));
    }
}

/* Products of 64 bits, folded without a reduction to the end. */
static uint64x2_t hash(void)
{
    uint64x2_t h = vdupq_n_u64(0);
    for (int i = 0; i < N; i += 16) {
        poly64_t a = (poly64_t)vgetq_lane_u64(h, 0) ^ (poly64_t)*(uint64_t *)(data + i);
        poly64_t b = (poly64_t)vgetq_lane_u64(h, 1) ^ (poly64_t)*(uint64_t *)(data + i + 8);
        uint64x2_t p = vreinterpretq_u64_p128(vmull_p64(a, b));
        uint64x2_t q = vreinterpretq_u64_p128(vmull_p64(a, (poly64_t)0x87));
        h = veorq_u64(p, vextq_u64(q, p, 1));
    }
    return h;
}

static void sha1(uint32x4_t *abcd, uint32_t *e, const uint8_t *block)
{
    static const uint32_t k[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32x4_t w[4], s = *abcd;
    uint32_t x = *e;
    for (int i = 0; i < 4; i++) w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(block + 16 * i)));
    for (int i = 0; i < 20; i++) {
        uint32x4_t wk = vaddq_u32(w[i & 3], vdupq_n_u32(k[i / 5]));
        uint32_t next = vsha1h_u32(vgetq_lane_u32(s, 0));
        s = i < 5 ? vsha1cq_u32(s, x, wk) : i / 5 == 2 ? vsha1mq_u32(s, x, wk) : vsha1pq_u32(s, x, wk);
        x = next;
        w[i & 3] = vsha1su1q_u32(vsha1su0q_u32(w[i & 3], w[(i + 1) & 3], w[(i + 2) & 3]), w[(i + 3) & 3]);
    }
    *abcd = vaddq_u32(*abcd, s);
    *e += x;
}

static void sha256(uint32x4_t *abcd, uint32x4_t *efgh, const uint8_t *block)
{
    uint32x4_t w[4], a = *abcd, e = *efgh;
    for (int i = 0; i < 4; i++) w[i] = vreinterpretq_u32_u8(vrev32q_u8(vld1q_u8(block + 16 * i)));
    for (int i = 0; i < 16; i++) {
        uint32x4_t wk = vaddq_u32(w[i & 3], vld1q_u32(k256 + 4 * i)), old = a;
        a = vsha256hq_u32(a, e, wk);
        e = vsha256h2q_u32(e, old, wk);
        w[i & 3] = vsha256su1q_u32(vsha256su0q_u32(w[i & 3], w[(i + 1) & 3]), w[(i + 2) & 3], w[(i + 3) & 3]);
    }
    *abcd = vaddq_u32(*abcd, a);
    *efgh = vaddq_u32(*efgh, e);
}

int main(int argc, char **argv)
{
    uint32x4_t s1 = vdupq_n_u32(0x67452301), a = vdupq_n_u32(0x6a09e667), e = vdupq_n_u32(0x510e527f);
    uint32_t x = 0xc3d2e1f0;
    uint64x2_t h = vdupq_n_u64(0);
    fill(data, sizeof data), fill(keys, sizeof keys), fill(k256, sizeof k256);
    for (long n = rounds(argc, argv, 2000); n > 0; n--) {
        counter_mode(n);
        h = veorq_u64(h, hash());
        for (int i = 0; i < N; i += 64) {
            sha1(&s1, &x, data + i);
            sha256(&a, &e, data + i);
        }
    }
    printf("crypto %08x %08x %08x %08x %08x %08x\n", digest(data, sizeof data), digest(&h, 16), digest(&s1, 16), x,
           digest(&a, 16), digest(&e, 16));
    return 0;
}
