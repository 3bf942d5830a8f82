/* Integer lanes as codecs use them: sums of absolute differences, half-pel averages, a saturating filter with narrowing,
   a 4x4 transform, population counts. */
#include "neon.h"
enum { W = 64, H = 64 };
static uint8_t src[H + 8][W + 16], ref[H + 8][W + 16], out[H][W];
static int16_t blocks[64][16];

static uint32_t sad(void)
{
    uint32x4_t total = vdupq_n_u32(0);
    for (int y = 0; y < H; y++) {
        uint16x8_t row = vdupq_n_u16(0);
        for (int x = 0; x < W; x += 16) {
            uint8x16_t a = vld1q_u8(&src[y][x]), b = vld1q_u8(&ref[y][x + 1]);
            row = vabal_u8(row, vget_low_u8(a), vget_low_u8(b));
            row = vabal_u8(row, vget_high_u8(a), vget_high_u8(b));
        }
        total = vpadalq_u16(total, row);
    }
    uint64x2_t pairs = vpaddlq_u32(total);
    return vgetq_lane_u64(pairs, 0) + vgetq_lane_u64(pairs, 1);
}

static void halfpel(void)
{
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x += 16) {
            uint8x16_t a = vrhaddq_u8(vld1q_u8(&src[y][x]), vld1q_u8(&src[y][x + 1]));
            uint8x16_t b = vhaddq_u8(vld1q_u8(&ref[y][x]), vld1q_u8(&ref[y + 1][x]));
            vst1q_u8(&out[y][x], vmaxq_u8(vminq_u8(a, b), vshrq_n_u8(a, 2)));
        }
}

/* The six-tap filter (1, -5, 20, 20, -5, 1), rounded, saturated. */
static void sixtap(void)
{
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x += 8) {
            const uint8_t *p = &src[y][x];
            uint8x16_t row = vld1q_u8(p);
            uint8x8_t a = vget_low_u8(row), b = vget_high_u8(row);
            int16x8_t outer = vreinterpretq_s16_u16(vaddl_u8(a, vext_u8(a, b, 5)));
            int16x8_t middle = vreinterpretq_s16_u16(vaddl_u8(vext_u8(a, b, 1), vext_u8(a, b, 4)));
            int16x8_t inner = vreinterpretq_s16_u16(vaddl_u8(vext_u8(a, b, 2), vext_u8(a, b, 3)));
            int16x8_t s = vmlsq_n_s16(vmlaq_n_s16(outer, inner, 20), middle, 5);
            vst1_u8(&out[y][x], vqrshrun_n_s16(s, 5));
        }
}

static void transform(void)
{
    for (int i = 0; i < 64; i++) {
        int16x4_t a = vld1_s16(blocks[i]), b = vld1_s16(blocks[i] + 4), c = vld1_s16(blocks[i] + 8),
                  d = vld1_s16(blocks[i] + 12);
        for (int pass = 0; pass < 2; pass++) {
            int16x4_t e = vqadd_s16(a, c), f = vqsub_s16(a, c);
            int16x4_t g = vqdmulh_n_s16(b, 17734), h = vqrdmulh_n_s16(d, 30000);
            int16x4_t s = vadd_s16(e, g), t = vsub_s16(e, g), u = vsra_n_s16(f, h, 1), v = vsub_s16(f, h);
            int16x4x2_t p = vtrn_s16(s, u), q = vtrn_s16(v, t);
            int32x2x2_t x = vtrn_s32(vreinterpret_s32_s16(p.val[0]), vreinterpret_s32_s16(q.val[0]));
            int32x2x2_t y = vtrn_s32(vreinterpret_s32_s16(p.val[1]), vreinterpret_s32_s16(q.val[1]));
            a = vreinterpret_s16_s32(x.val[0]), c = vreinterpret_s16_s32(x.val[1]);
            b = vreinterpret_s16_s32(y.val[0]), d = vreinterpret_s16_s32(y.val[1]);
        }
        vst1_s16(blocks[i], vrshr_n_s16(a, 1));
        vst1_s16(blocks[i] + 4, b);
        vst1_s16(blocks[i] + 8, vrshr_n_s16(c, 1));
        vst1_s16(blocks[i] + 12, d);
    }
}

static uint32_t ones(void)
{
    uint32x4_t n = vdupq_n_u32(0);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x += 16)
            n = vpadalq_u16(n, vpaddlq_u8(vcntq_u8(veorq_u8(vld1q_u8(&src[y][x]), vld1q_u8(&out[y][x])))));
    return vgetq_lane_u32(n, 0) + vgetq_lane_u32(n, 1) + vgetq_lane_u32(n, 2) + vgetq_lane_u32(n, 3);
}

int main(int argc, char **argv)
{
    uint32_t h = 0;
    fill(src, sizeof src), fill(ref, sizeof ref), fill(blocks, sizeof blocks);
    for (long n = rounds(argc, argv, 8000); n > 0; n--) {
        h = h * 31 + sad();
        halfpel();
        h = h * 31 + ones();
        sixtap();
        transform();
        src[n % H][n % W] += 7;
    }
    printf("integer %08x %08x %08x\n", h, digest(out, sizeof out), digest(blocks, sizeof blocks));
    return 0;
}
