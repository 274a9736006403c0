/* The amps that this library plays. */
#include "catalog.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"

enum { TRAILER = 12 };

static const char TAIL_MAGIC[8] = {'A', 'M', 'P', 'Z', 'T', 'A', 'I', 'L'};
static const char SHELF_MAGIC[] = "AMPSHELF\n", SUFFIX[] = ".bin";

static CatalogAmp *amps;
static int32_t count, opened;
static atomic_flag busy = ATOMIC_FLAG_INIT;

static void lock(void) {
    while (atomic_flag_test_and_set_explicit(&busy, memory_order_acquire)) {}
}

static void unlock(void) { atomic_flag_clear_explicit(&busy, memory_order_release); }

/* What follows the code in the library's own file; changes the bytes so that it stands in front. */
static int keep_tail(unsigned char *bytes, size_t *size) {
    if (*size < TRAILER || memcmp(bytes + *size - 8, TAIL_MAGIC, 8)) return 0;
    const unsigned char *b = bytes + *size - TRAILER;
    const size_t length = (size_t)b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24;
    if (length > *size - TRAILER) return 0;
    memmove(bytes, b - length, length);
    *size = length;
    return 1;
}

/* The path of a file relative to the folder of the library. */
static int path_beside(const char *library, const char *name, char path[PATH_MOST]) {
    const char *cut = strrchr(library, '/'), *back = strrchr(library, '\\');
    if (!cut || (back && back > cut)) cut = back;
    const int folder = cut ? (int)(cut - library) + 1 : 0;
    return snprintf(path, PATH_MOST, "%.*s%s", folder, library, name) < PATH_MOST;
}

static unsigned char *own_data(size_t *size) {
    static const char *const names[] = {"../Resources/amp.bin", "amp.bin"};
    char library[PATH_MOST], path[PATH_MOST];
    if (!library_path(library)) return NULL;
    unsigned char *bytes = read_file(library, size);
    if (bytes && keep_tail(bytes, size)) return bytes;
    free(bytes);
    bytes = NULL;
    for (int i = 0; i < 2 && !bytes; i++)
        if (path_beside(library, names[i], path)) bytes = read_file(path, size);
    return bytes;
}

/* Add an amp, unless its bytes are broken or it is there already. */
static void add_amp(const unsigned char *bytes, size_t size, const char *path) {
    static const char digits[] = "0123456789abcdef";
    Amp *amp = malloc(sizeof *amp);
    CatalogAmp *more = amp && count < CATALOG_MOST ? realloc(amps, sizeof *amps * (size_t)(count + 1)) : NULL;
    if (more) amps = more;
    if (more && amp_read(amp, bytes, size) == AMP_OK && !catalog_find(amp->identity)) {
        CatalogAmp *added = amps + count;
        memcpy(added->name, amp->name, AMP_NAME);
        memcpy(added->identity, amp->identity, AMP_IDENTITY);
        for (int i = 0; i < AMP_IDENTITY; i++) {
            added->hex[2 * i] = digits[amp->identity[i] >> 4];
            added->hex[2 * i + 1] = digits[amp->identity[i] & 15];
        }
        added->hex[CATALOG_HEX - 1] = 0;
        added->path = path ? malloc(strlen(path) + 1) : NULL;
        if (added->path) strcpy(added->path, path);
        if (added->path || !path) count++;
    }
    free(amp);
}

static void visit(const char *name, void *folder) {
    char path[PATH_MOST];
    const size_t length = strlen(name);
    if (length <= 4 || name[0] == '.' || strcmp(name + length - 4, SUFFIX)) return;
    if (snprintf(path, sizeof path, "%s/%s", (const char *)folder, name) >= PATH_MOST) return;
    size_t size;
    unsigned char *bytes = read_file(path, &size);
    if (bytes) add_amp(bytes, size, path);
    free(bytes);
}

static int by_name(const void *a, const void *b) {
    const CatalogAmp *first = a, *second = b;
    const int order = strcmp(first->name, second->name);
    return order ? order : memcmp(first->identity, second->identity, AMP_IDENTITY);
}

static void find_amps(void) {
    const size_t head = sizeof SHELF_MAGIC - 1;
    size_t size;
    unsigned char *bytes = own_data(&size);
    if (!bytes) return;
    if (size > head && size - head < PATH_MOST && !memcmp(bytes, SHELF_MAGIC, head)) {
        char folder[PATH_MOST];
        memcpy(folder, bytes + head, size - head);
        folder[size - head] = 0;
        list_folder(folder, visit, folder);
        if (count) qsort(amps, (size_t)count, sizeof *amps, by_name);
    } else {
        add_amp(bytes, size, NULL);
    }
    free(bytes);
}

void catalog_open(void) {
    lock();
    if (!opened++) find_amps();
    unlock();
}

void catalog_close(void) {
    lock();
    if (opened && !--opened) {
        for (int32_t i = 0; i < count; i++) free(amps[i].path);
        free(amps);
        amps = NULL;
        count = 0;
    }
    unlock();
}

int32_t catalog_count(void) { return count; }

const CatalogAmp *catalog_at(int32_t index) { return index >= 0 && index < count ? amps + index : NULL; }

const CatalogAmp *catalog_find(const unsigned char identity[AMP_IDENTITY]) {
    for (int32_t i = 0; i < count; i++)
        if (!memcmp(amps[i].identity, identity, AMP_IDENTITY)) return amps + i;
    return NULL;
}

unsigned char *catalog_read(const CatalogAmp *amp, size_t *size) {
    return amp->path ? read_file(amp->path, size) : own_data(size);
}
