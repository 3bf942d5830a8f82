/* Single precision: a product of 4x4 matrices, a normalisation with estimates and Newton steps, a filter with fused
   multiply-add, comparisons and selection, conversions to and from integers. */
#include "neon.h"
enum { N = 1024 };
static float m[64][16], products[64][16], v[3][N], units[3][N], w[N];
static int32_t fixed[N];

static void matrices(void)
{
    for (int k = 0; k + 1 < 64; k++) {
        float32x4_t b[4];
        for (int i = 0; i < 4; i++) b[i] = vld1q_f32(&m[k + 1][4 * i]);
        for (int i = 0; i < 4; i++) {
            float32x4_t a = vld1q_f32(&m[k][4 * i]);
            float32x4_t r = vmulq_lane_f32(b[0], vget_low_f32(a), 0);
            r = vmlaq_lane_f32(r, b[1], vget_low_f32(a), 1);
            r = vmlaq_lane_f32(r, b[2], vget_high_f32(a), 0);
            r = vmlaq_lane_f32(r, b[3], vget_high_f32(a), 1);
            vst1q_f32(&products[k][4 * i], r);
        }
    }
}

static void normalise(void)
{
    for (int i = 0; i < N; i += 4) {
        float32x4_t x = vld1q_f32(&v[0][i]), y = vld1q_f32(&v[1][i]), z = vld1q_f32(&v[2][i]);
        float32x4_t s = vmlaq_f32(vmlaq_f32(vmulq_f32(x, x), y, y), z, z);
        float32x4_t r = vrsqrteq_f32(s);
        r = vmulq_f32(r, vrsqrtsq_f32(vmulq_f32(s, r), r));
        r = vmulq_f32(r, vrsqrtsq_f32(vmulq_f32(s, r), r));
        float32x4_t q = vrecpeq_f32(vaddq_f32(vabsq_f32(x), vdupq_n_f32(1.0f)));
        q = vmulq_f32(q, vrecpsq_f32(q, vaddq_f32(vabsq_f32(x), vdupq_n_f32(1.0f))));
        vst1q_f32(&units[0][i], vmulq_f32(x, r));
        vst1q_f32(&units[1][i], vsubq_f32(y, vmulq_f32(r, q)));
        vst1q_f32(&units[2][i], vmaxq_f32(vnegq_f32(z), vmulq_f32(z, r)));
    }
}

static void filter(void)
{
    for (int i = 0; i + 8 <= N; i += 4) {
        float32x4_t a = vld1q_f32(&w[i]), b = vld1q_f32(&w[i + 4]);
        float32x4_t r = vmulq_n_f32(a, 0.5f);
        r = vfmaq_f32(r, vextq_f32(a, b, 1), vdupq_n_f32(0.25f));
        r = vfmsq_f32(r, vextq_f32(a, b, 2), vdupq_n_f32(0.125f));
        uint32x4_t big = vcgtq_f32(r, vdupq_n_f32(2.0f));
        r = vbslq_f32(big, vsubq_f32(r, vdupq_n_f32(3.5f)), vaddq_f32(r, vdupq_n_f32(1.25f)));
        vst1q_f32(&w[i], vminq_f32(r, vdupq_n_f32(8.0f)));
    }
}

static void convert(void)
{
    for (int i = 0; i < N; i += 4) {
        int32x4_t n = vcvtq_s32_f32(vmulq_n_f32(vld1q_f32(&w[i]), 100.0f));
        int32x4_t f = vcvtq_n_s32_f32(vld1q_f32(&units[0][i]), 12);
        n = vaddq_s32(n, vshrq_n_s32(f, 3));
        vst1q_s32(&fixed[i], n);
        float32x4_t back = vmulq_n_f32(vcvtq_f32_s32(n), 0.01f);
        float32x2_t pairs = vmul_n_f32(vpadd_f32(vget_low_f32(back), vget_high_f32(back)), 0.0625f);
        vst1q_f32(&w[i], vaddq_f32(vmulq_n_f32(back, 0.75f), vcombine_f32(pairs, vneg_f32(pairs))));
    }
}

int main(int argc, char **argv)
{
    for (int k = 0; k < 64; k++)
        for (int i = 0; i < 16; i++) m[k][i] = (int)(rng() % 2000 - 1000) * 0.001f;
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < 3; k++) v[k][i] = (int)(rng() % 2000 + 1) * 0.01f;
        w[i] = (int)(rng() % 1000) * 0.01f;
    }
    for (long n = rounds(argc, argv, 4000); n > 0; n--) {
        matrices();
        normalise();
        filter();
        convert();
        for (int k = 0; k < 3; k++) v[k][n % N] += 0.25f;
        w[n % N] += 2.0f;
        m[n % 64][n % 16] = 0.25f * (n % 7);
    }
    printf("float %08x %08x %08x\n", digest(products, sizeof products), digest(units, sizeof units), digest(fixed, sizeof fixed));
    return 0;
}
