/* Runs operations over a block, for one instruction set.
 *
 * Compiled once per set, with ENGINE naming its table: -DENGINE=engine_avx2 with the flags of AVX2, and so on. Vectors
 * are those of GCC and clang (`vector_size`), so one source serves SSE2, AVX2, AVX-512, NEON and WebAssembly. Compile
 * with -ffp-contract=fast: `a * b + c` is then one instruction where the processor has it.
 */
#include "engine.h"

#if defined(__AVX512F__)
#define WIDTH 16
#define NAME "avx512"
#elif defined(__AVX2__)
#define WIDTH 8
#define NAME "avx2"
#else
#define WIDTH 4
#define NAME "baseline"
#endif

#if defined(__AVX512F__) || defined(__aarch64__)
#define REGISTERS 32
#else
#define REGISTERS 16
#endif

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define INLINE static inline __attribute__((always_inline))
#define NOINLINE static __attribute__((noinline))

enum { NARROW = 2, WIDE = 4 };           /* vectors of time in a tile */
enum { FILM_HEIGHT = 2, MAX_HEIGHT = 6 };

typedef float Vector __attribute__((vector_size(4 * WIDTH)));
typedef int32_t Mask __attribute__((vector_size(4 * WIDTH)));
typedef float Unaligned __attribute__((vector_size(4 * WIDTH), aligned(4), may_alias));

INLINE Vector load(const float *p) { return *(const Unaligned *)p; }
INLINE void store(float *p, Vector v) { *(Unaligned *)p = v; }
INLINE Vector splat(float x) { return x - (Vector){0}; }
INLINE Vector choose(Mask m, Vector a, Vector b) { return (Vector)(((Mask)a & m) | ((Mask)b & ~m)); }

#if defined(__wasm_simd128__)
#include <wasm_simd128.h>
INLINE Vector smaller(Vector a, Vector b) { return (Vector)wasm_f32x4_pmin((v128_t)b, (v128_t)a); }
INLINE Vector larger(Vector a, Vector b) { return (Vector)wasm_f32x4_pmax((v128_t)b, (v128_t)a); }
#else
INLINE Vector smaller(Vector a, Vector b) { return choose(a < b, a, b); } /* NaN where b is */
INLINE Vector larger(Vector a, Vector b) { return choose(a > b, a, b); }
#endif

/* A quotient of an odd and an even polynomial, exact to a few units in the last place (Eigen's
 * `generic_fast_tanh_float`, Eigen/src/Core/MathFunctionsImpl.h). */
INLINE Vector tanh_of(Vector x) {
    x = larger(splat(-7.90531110763549805f), smaller(splat(7.90531110763549805f), x));
    const Vector y = x * x;
    Vector top = y * -2.76076847742355e-16f + 2.00018790482477e-13f;
    top = y * top + -8.60467152213735e-11f;
    top = y * top + 5.12229709037114e-08f;
    top = y * top + 1.48572235717979e-05f;
    top = y * top + 6.37261928875436e-04f;
    top = y * top + 4.89352455891786e-03f;
    Vector bottom = y * 1.19825839466702e-06f + 1.18534705686654e-04f;
    bottom = y * bottom + 2.26843463243900e-03f;
    bottom = y * bottom + 4.89352518554385e-03f;
    return x * top / bottom;
}

INLINE Vector sigmoid_of(Vector x) { return tanh_of(x * 0.5f) * 0.5f + 0.5f; }

/* An activation; `slope` is that of SLOPED below zero. */
INLINE Vector activation_of(int32_t kind, Vector x, Vector slope) {
    switch (kind) {
    case TANH: return tanh_of(x);
    case RELU: return larger(splat(0), x);
    case SLOPED: return choose(x < 0, x * slope, x);
    case SILU: return x * sigmoid_of(x);
    case HARDTANH: return larger(splat(-1), smaller(splat(1), x));
    case SOFTSIGN: return x / (1 + (Vector)((Mask)x & 0x7fffffff));
    case SIGMOID: return sigmoid_of(x);
    default: return x;
    }
}

/* The first row of a buffer, where the block begins. */
INLINE float *row_of(const Block *k, int32_t buffer) {
    const Buffer *b = k->buffers + buffer;
    return b->data + b->position;
}

INLINE ptrdiff_t stride_of(const Block *k, int32_t buffer) { return k->buffers[buffer].stride; }

/* tile[i][j] += w[i] * x[j]. In this order `height` by `columns` sums, `columns` vectors of x and one weight are all
 * that must be in registers at a time. */
INLINE void add_product(const int height, const int columns, const float *w, const float *x, Vector tile[][WIDE]) {
    Vector v[WIDE];
    UNROLL for (int j = 0; j < columns; j++) v[j] = load(x + j * WIDTH);
    UNROLL for (int i = 0; i < height; i++) {
        const Vector weight = splat(w[i]);
        UNROLL for (int j = 0; j < columns; j++) tile[i][j] = weight * v[j] + tile[i][j];
    }
}

/* Add `rows` products; the weights are one column of the tile after the other. Returns where they end. */
INLINE const float *add_products(const int height, const int columns, const float *w, const float *x, ptrdiff_t stride,
                                 int32_t rows, Vector tile[][WIDE]) {
    for (int32_t r = 0; r < rows; r++, w += height, x += stride) add_product(height, columns, w, x, tile);
    return w;
}

/* Add what moves to `height` coefficients from `first` on, at the samples from t on. */
INLINE void add_moving(const int height, const int columns, const Block *k, int32_t first, int32_t t,
                       Vector tile[][WIDE]) {
    for (int32_t m = 0; m < k->movers; m++)
        add_product(height, columns, k->slopes + m * k->slopes_stride + first, k->moving + m * k->moving_stride + t,
                    tile);
}

/* CONVOLVE with tiles of `height` rows and `columns` vectors. */
INLINE void convolve(const int height, const int columns, const Block *k, const Operation *o) {
    const float *source = row_of(k, o->source), *extra = o->extra_rows ? row_of(k, o->extra) : source;
    const float *addend = o->addend == AMP_NONE ? NULL : row_of(k, o->addend);
    float *const target = row_of(k, o->target);
    const ptrdiff_t source_stride = stride_of(k, o->source), target_stride = stride_of(k, o->target);
    const ptrdiff_t extra_stride = o->extra_rows ? stride_of(k, o->extra) : 0;
    const ptrdiff_t addend_stride = addend ? stride_of(k, o->addend) : 0;
    for (int32_t t = 0; t < k->samples; t += columns * WIDTH) {
        const float *w = k->weights + o->weights;
        int32_t row = 0;
        for (int32_t group = 0; group < o->groups; group++) {
            const float *oldest = source + group * o->rows_per_group * source_stride + t - (o->taps - 1) * o->dilation;
            for (int32_t chunk = 0; chunk < o->chunks; chunk++, row += height) {
                Vector tile[MAX_HEIGHT][WIDE];
                UNROLL for (int i = 0; i < height; i++) {
                    const Vector bias = splat(k->values[o->bias + row + i]);
                    UNROLL for (int j = 0; j < columns; j++) tile[i][j] = bias;
                }
                if (o->follows_features) add_moving(height, columns, k, o->bias + row, t, tile);
                for (int32_t tap = 0; tap < o->taps; tap++)
                    w = add_products(height, columns, w, oldest + tap * o->dilation, source_stride, o->rows_per_group,
                                     tile);
                w = add_products(height, columns, w, extra + t, extra_stride, o->extra_rows, tile);
                UNROLL for (int i = 0; i < height; i++) UNROLL for (int j = 0; j < columns; j++) {
                    if (addend) tile[i][j] += load(addend + (row + i) * addend_stride + t + j * WIDTH);
                    store(target + (row + i) * target_stride + t + j * WIDTH, tile[i][j]);
                }
            }
        }
    }
}

NOINLINE void modulate(const Block *k, const Operation *o) {
    const float *source = row_of(k, o->source), *addend = o->addend == AMP_NONE ? NULL : row_of(k, o->addend);
    float *const target = row_of(k, o->target);
    const ptrdiff_t source_stride = stride_of(k, o->source), target_stride = stride_of(k, o->target);
    const ptrdiff_t addend_stride = addend ? stride_of(k, o->addend) : 0;
    for (int32_t row = 0; row < o->rows; row += FILM_HEIGHT)
        for (int32_t t = 0; t < k->samples; t += NARROW * WIDTH) {
            Vector scale[FILM_HEIGHT][WIDE], shift[FILM_HEIGHT][WIDE];
            UNROLL for (int i = 0; i < FILM_HEIGHT; i++) UNROLL for (int j = 0; j < NARROW; j++) {
                scale[i][j] = splat(k->values[o->scale + row + i]);
                shift[i][j] = splat(k->values[o->shift + row + i]);
            }
            add_moving(FILM_HEIGHT, NARROW, k, o->scale + row, t, scale);
            add_moving(FILM_HEIGHT, NARROW, k, o->shift + row, t, shift);
            UNROLL for (int i = 0; i < FILM_HEIGHT; i++) UNROLL for (int j = 0; j < NARROW; j++) {
                const ptrdiff_t at = t + j * WIDTH;
                Vector z = scale[i][j] * load(source + (row + i) * source_stride + at) + shift[i][j];
                if (addend) z += load(addend + (row + i) * addend_stride + at);
                store(target + (row + i) * target_stride + at, z);
            }
        }
}

/* ACTIVATE; kind, gating and gate are constants in the copies for common cases. */
INLINE void activate(const int32_t kind, const int32_t gating, const int32_t gate, const Block *k, const Operation *o) {
    const float *addend = o->addend == AMP_NONE ? NULL : row_of(k, o->addend);
    float *extra = o->extra == AMP_NONE ? NULL : row_of(k, o->extra);
    const ptrdiff_t source_stride = stride_of(k, o->source), target_stride = stride_of(k, o->target);
    const ptrdiff_t addend_stride = addend ? stride_of(k, o->addend) : 0;
    const ptrdiff_t extra_stride = extra ? stride_of(k, o->extra) : 0;
    for (int32_t row = 0; row < o->rows; row++) {
        const Vector slope = splat(kind == SLOPED ? k->weights[o->slopes + row] : 0);
        const Vector gate_slope = splat(gating && gate == SLOPED ? k->weights[o->gate_slopes + row] : 0);
        const float *source = row_of(k, o->source) + row * source_stride, *gates = source + o->rows * source_stride;
        float *target = row_of(k, o->target) + row * target_stride;
        for (int32_t t = 0; t < k->samples; t += WIDTH) {
            const Vector z = load(source + t);
            Vector a = activation_of(kind, z, slope);
            if (gating) {
                const Vector by = activation_of(gate, load(gates + t), gate_slope);
                a = gating == BLENDED ? by * (a - z) + z : by * a;
            }
            store(target + t, a);
            if (extra) {
                if (addend) a += load(addend + row * addend_stride + t);
                store(extra + row * extra_stride + t, a);
            }
        }
    }
}

#define CONVOLUTION(H, C) NOINLINE void convolve_##H##_##C(const Block *k, const Operation *o) { convolve(H, C, k, o); }
CONVOLUTION(1, 2) CONVOLUTION(2, 2) CONVOLUTION(3, 2) CONVOLUTION(4, 2) CONVOLUTION(6, 2)
CONVOLUTION(1, 4) CONVOLUTION(2, 4)
#if REGISTERS == 32
CONVOLUTION(3, 4) CONVOLUTION(4, 4)
#else                                    /* a wide tile would not fit the registers */
#define convolve_3_4 convolve_3_2
#define convolve_4_4 convolve_4_2
#endif

#define ACTIVATION(K) \
    NOINLINE void activate_##K(const Block *k, const Operation *o) { activate(K, UNGATED, IDENTITY, k, o); }
ACTIVATION(IDENTITY) ACTIVATION(TANH) ACTIVATION(RELU) ACTIVATION(SLOPED)
NOINLINE void activate_any(const Block *k, const Operation *o) { activate(o->activation, o->gating, o->gate, k, o); }

/* Low tiles are wide: a processor needs some eight sums under way to be busy. */
static void run_convolution(const Block *k, const Operation *o) {
    const int wide = k->samples > NARROW * WIDTH;
    switch (o->height) {
    case 6: convolve_6_2(k, o); break;
    case 4: (wide ? convolve_4_4 : convolve_4_2)(k, o); break;
    case 3: (wide ? convolve_3_4 : convolve_3_2)(k, o); break;
    case 2: (wide ? convolve_2_4 : convolve_2_2)(k, o); break;
    default: (wide ? convolve_1_4 : convolve_1_2)(k, o);
    }
}

static void run_activation(const Block *k, const Operation *o) {
    if (o->gating) activate_any(k, o);
    else switch (o->activation) {
        case IDENTITY: activate_IDENTITY(k, o); break;
        case TANH: activate_TANH(k, o); break;
        case RELU: activate_RELU(k, o); break;
        case SLOPED: activate_SLOPED(k, o); break;
        default: activate_any(k, o);
        }
}

/* The mode of this thread in which numbers near zero (denormals) count as 0; they would take several times as long. */
#if defined(__x86_64__) || defined(_M_X64)
enum { FLUSH = 0x8040 };                 /* of MXCSR: results and inputs */
typedef uint32_t Mode;
INLINE Mode get_mode(void) { Mode m; __asm__ volatile("stmxcsr %0" : "=m"(m)); return m; }
INLINE void set_mode(Mode m) { __asm__ volatile("ldmxcsr %0" : : "m"(m) : "memory"); }
#elif defined(__aarch64__)
enum { FLUSH = 1 << 24 };                /* of FPCR */
typedef uint64_t Mode;
INLINE Mode get_mode(void) { Mode m; __asm__ volatile("mrs %0, fpcr" : "=r"(m)); return m; }
INLINE void set_mode(Mode m) { __asm__ volatile("msr fpcr, %0" : : "r"(m) : "memory"); }
#else                                    /* WebAssembly has no such mode */
enum { FLUSH = 0 };
typedef uint32_t Mode;
INLINE Mode get_mode(void) { return 0; }
INLINE void set_mode(Mode m) { (void)m; }
#endif

static void run(const Block *block, const Operation *begin, const Operation *end) {
    const Mode before = get_mode();
    set_mode(before | FLUSH);
    for (const Operation *o = begin; o < end; o++)
        switch (o->kind) {
        case CONVOLVE: run_convolution(block, o); break;
        case MODULATE: modulate(block, o); break;
        default: run_activation(block, o);
        }
    set_mode(before);
}

const Engine ENGINE = {NAME, run};
