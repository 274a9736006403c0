/* Memory for a page: WebAssembly has no allocator of its own. A page takes what it needs before it plays, once. */
#include "player.h"

#if defined(__wasm__)
extern unsigned char __heap_base;

/* Memory that is never given back, aligned to PLAYER_ALIGNMENT; NULL where the browser gives no more. Views of the
 * memory that JavaScript made before are no longer valid. */
PLAYER_API void *player_take(size_t bytes) {
    static size_t top;
    if (!top) top = (size_t)&__heap_base;
    const size_t at = (top + PLAYER_ALIGNMENT - 1) / PLAYER_ALIGNMENT * PLAYER_ALIGNMENT;
    const size_t have = __builtin_wasm_memory_size(0) << 16;
    if (bytes > SIZE_MAX - at - 0xffff) return NULL;
    if (at + bytes > have && __builtin_wasm_memory_grow(0, (at + bytes - have + 0xffff) >> 16) == SIZE_MAX) return NULL;
    top = at + bytes;
    return (void *)at;
}
#endif
