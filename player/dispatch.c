/* Finds the engine for the processor that this runs on. */
#include "engine.h"

#include <string.h>

extern const Engine engine_baseline;

#if defined(__x86_64__) || defined(_M_X64)
extern const Engine engine_avx2, engine_avx512;

typedef struct { uint32_t a, b, c, d; } Registers;

static Registers cpuid(uint32_t leaf) {
    Registers r;
    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(0));
    return r;
}

/* The registers that the operating system saves: bits 1 and 2 SSE and AVX, 5 to 7 AVX-512. */
static uint32_t saved_registers(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* 0: SSE2; 1: x86-64-v3 (AVX2, FMA, BMI, F16C, LZCNT, MOVBE); 2: x86-64-v4 (AVX-512 F, DQ, CD, BW, VL). */
static int level_of_processor(void) {
    enum { FMA = 1 << 12, MOVBE = 1 << 22, OSXSAVE = 1 << 27, AVX = 1 << 28, F16C = 1 << 29 };
    enum { BMI1 = 1 << 3, AVX2 = 1 << 5, BMI2 = 1 << 8, LZCNT = 1 << 5 };
    const uint32_t v3_first = FMA | MOVBE | OSXSAVE | AVX | F16C, v3_seventh = BMI1 | AVX2 | BMI2;
    const uint32_t v4_seventh = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31;
    if (cpuid(0).a < 7 || cpuid(0x80000000u).a < 0x80000001u || (cpuid(1).c & v3_first) != v3_first) return 0;
    const uint32_t seventh = cpuid(7).b, saved = saved_registers();
    if ((seventh & v3_seventh) != v3_seventh || !(cpuid(0x80000001u).c & LZCNT) || (saved & 0x06) != 0x06) return 0;
    return (seventh & v4_seventh) == v4_seventh && (saved & 0xe6) == 0xe6 ? 2 : 1;
}
#endif

const Engine *engine_find(const char *name) {
#if defined(__x86_64__) || defined(_M_X64)
    static const Engine *const engines[] = {&engine_baseline, &engine_avx2, &engine_avx512};
    const int count = 1 + level_of_processor();
#else
    static const Engine *const engines[] = {&engine_baseline};
    const int count = 1;
#endif
    for (int i = count - 1; i >= 0; i--)
        if (!name || !strcmp(engines[i]->name, name)) return engines[i];
    return NULL;
}
