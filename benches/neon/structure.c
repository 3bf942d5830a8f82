/* Structure loads and stores: RGB to grey and to planes, alpha blending of RGBA, complex products, lanes and duplicates
   from memory, a table look-up. */
#include "neon.h"
enum { N = 2048 };
static uint8_t rgb[3 * N], rgba[4 * N], back[4 * N], planes[3][N], grey[N], table[32];
static int16_t complex_a[2 * N], complex_b[2 * N], product[2 * N];
static uint32_t gathered[N];

static void to_grey(void)
{
    for (int i = 0; i < N; i += 8) {
        uint8x8x3_t p = vld3_u8(&rgb[3 * i]);
        uint16x8_t s = vmull_u8(p.val[0], vdup_n_u8(77));
        s = vmlal_u8(s, p.val[1], vdup_n_u8(151));
        s = vmlal_u8(s, p.val[2], vdup_n_u8(28));
        vst1_u8(&grey[i], vrshrn_n_u16(s, 8));
    }
}

static void split(void)
{
    for (int i = 0; i < N; i += 16) {
        uint8x16x3_t p = vld3q_u8(&rgb[3 * i]);
        for (int k = 0; k < 3; k++) vst1q_u8(&planes[k][i], p.val[k]);
        p.val[1] = vmvnq_u8(p.val[1]);
        vst3q_u8(&rgb[3 * i], p);
    }
}

static void blend(void)
{
    for (int i = 0; i < N; i += 8) {
        uint8x8x4_t s = vld4_u8(&rgba[4 * i]), d = vld4_u8(&back[4 * i]);
        uint8x8_t rest = vmvn_u8(s.val[3]);
        for (int k = 0; k < 3; k++) {
            uint16x8_t t = vmlal_u8(vmull_u8(s.val[k], s.val[3]), d.val[k], rest);
            d.val[k] = vraddhn_u16(t, vrshrq_n_u16(t, 8));
        }
        vst4_u8(&back[4 * i], d);
    }
}

static void complex_products(void)
{
    for (int i = 0; i < N; i += 8) {
        int16x8x2_t a = vld2q_s16(&complex_a[2 * i]), b = vld2q_s16(&complex_b[2 * i]), r;
        r.val[0] = vqsubq_s16(vqdmulhq_s16(a.val[0], b.val[0]), vqdmulhq_s16(a.val[1], b.val[1]));
        r.val[1] = vqaddq_s16(vqdmulhq_s16(a.val[0], b.val[1]), vqdmulhq_s16(a.val[1], b.val[0]));
        vst2q_s16(&product[2 * i], r);
    }
}

static void gather(void)
{
    uint8x8x4_t t = {{vld1_u8(table), vld1_u8(table + 8), vld1_u8(table + 16), vld1_u8(table + 24)}};
    for (int i = 0; i < N; i += 4) {
        uint32x4_t v = vld1q_dup_u32((uint32_t *)&back[4 * i]);
        v = vld1q_lane_u32(&gathered[grey[i]], v, 1);
        v = vld1q_lane_u32(&gathered[grey[i + 1]], v, 3);
        uint8x8_t x = vtbl4_u8(t, vand_u8(vreinterpret_u8_u32(vget_low_u32(v)), vdup_n_u8(31)));
        uint32x4_t y = vaddq_u32(v, vcombine_u32(vreinterpret_u32_u8(x), vget_high_u32(v)));
        vst1q_u32(&gathered[i], y);
        vst1q_lane_u32(&gathered[i ^ 4], y, 2);
    }
}

int main(int argc, char **argv)
{
    fill(rgb, sizeof rgb), fill(rgba, sizeof rgba), fill(back, sizeof back), fill(table, sizeof table);
    fill(complex_a, sizeof complex_a), fill(complex_b, sizeof complex_b), fill(gathered, sizeof gathered);
    for (long n = rounds(argc, argv, 4000); n > 0; n--) {
        to_grey();
        split();
        blend();
        complex_products();
        gather();
        complex_a[n % N] ^= n;
        rgba[n % N] += 3;
    }
    printf("structure %08x %08x %08x %08x\n", digest(back, sizeof back), digest(planes, sizeof planes),
           digest(product, sizeof product), digest(gathered, sizeof gathered));
    return 0;
}
