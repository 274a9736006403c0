/* One block of a player as a function of Python, at a tenth of the cost of a call through ctypes.
 *
 * A call of ctypes with three arrays takes longer than a small net takes for a block. Here Python calls C by itself, and
 * arrays come as buffers. It needs a few functions and structures of CPython's stable ABI (docs.python.org/3/c-api,
 * "C API Stability", complete since 3.11). The functions come as pointers from ctypes.pythonapi, so the library is
 * linked with no Python and serves every one. models/formats/player/python_call.py is the other half.
 */
#include <string.h>

#include "player.h"

enum { WRITABLE = 0x1, FORMAT = 0x4, C_CONTIGUOUS = 0x38 };   /* PyBUF_... */
enum { FASTCALL = 0x80 };                                     /* METH_FASTCALL */
enum { ARGUMENTS = 3, LONG_BLOCK = 1024 };                    /* samples, from which on other threads may run meanwhile */
enum { NOT_TAKEN = -1 };

typedef struct PyObject PyObject;

typedef struct {                           /* Py_buffer */
    void *data;
    PyObject *object;
    ptrdiff_t length, item_size;
    int read_only, dimensions;
    char *format;
    ptrdiff_t *shape, *strides, *suboffsets;
    void *internal;
} Buffer;

typedef struct {                           /* PyMethodDef */
    const char *name;
    PyObject *(*function)(PyObject *, PyObject *const *, ptrdiff_t);
    int flags;
    const char *description;
} Method;

typedef struct {                           /* in the order of FUNCTIONS in python_call.py */
    int (*get_buffer)(PyObject *, Buffer *, int);
    void (*release_buffer)(Buffer *);
    void (*clear_error)(void);
    void *(*save_thread)(void);
    void (*restore_thread)(void *);
    PyObject *(*long_from)(long long);
    void *(*pointer_from)(PyObject *);
} Python;

typedef struct { Player *player; int32_t columns; } Call;     /* what a function is bound to, as a number */

static Python python;                      /* the same for all interpreters of a process */

/* Take an array of float32 without gaps; returns whether the object is one. */
static int take(PyObject *object, Buffer *buffer, int flags) {
    if (python.get_buffer(object, buffer, flags | FORMAT | C_CONTIGUOUS)) {
        python.clear_error();
        return 0;
    }
    if (buffer->item_size == 4 && buffer->format && !strcmp(buffer->format, "f")) return 1;
    python.release_buffer(buffer);
    return 0;
}

/* Whether levels are (columns), (columns, 1) or (columns, samples). */
static int levels_fit(const Buffer *levels, int32_t columns, ptrdiff_t samples) {
    const int flat = levels->dimensions == 1;
    return (flat || levels->dimensions == 2) && levels->shape[0] == columns
        && (flat || levels->shape[1] == 1 || levels->shape[1] == samples);
}

static int64_t play(const Call *call, const Buffer *x, const Buffer *levels, const Buffer *y) {
    const ptrdiff_t samples = x->length / 4;
    if (x->dimensions != 1 || y->dimensions != 1 || y->length != x->length || samples > INT32_MAX
        || !levels_fit(levels, call->columns, samples))
        return NOT_TAKEN;
    const int moving = levels->dimensions == 2 && levels->shape[1] > 1;
    const int64_t before = player_silenced(call->player);
    void *thread = samples < LONG_BLOCK ? NULL : python.save_thread();
    player_process_levels(call->player, x->data, y->data, (int32_t)samples, levels->data, moving);
    if (thread) python.restore_thread(thread);
    return player_silenced(call->player) - before;
}

/* process(x, levels, y): play a block. Returns how many samples were silenced, NOT_TAKEN where an argument is no array
 * that can be used as it is: then nothing was played. */
static PyObject *process(PyObject *self, PyObject *const *arguments, ptrdiff_t count) {
    Buffer buffers[ARGUMENTS];
    int64_t silenced = NOT_TAKEN;
    int taken = 0;
    while (count == ARGUMENTS && taken < ARGUMENTS
           && take(arguments[taken], buffers + taken, taken == ARGUMENTS - 1 ? WRITABLE : 0))
        taken++;
    if (taken == ARGUMENTS) silenced = play(python.pointer_from(self), buffers, buffers + 1, buffers + 2);
    while (taken) python.release_buffer(buffers + --taken);
    return python.long_from(silenced);
}

/* Take the functions of CPython; returns the PyMethodDef of `process`, whose `self` is the address of a Call. */
PLAYER_API const void *player_python_method(const Python *functions) {
    static const Method method = {"process", process, FASTCALL, NULL};
    python = *functions;
    return &method;
}
