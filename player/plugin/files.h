/* The few things that plugins ask of the system: where the library is, files, and the names in a folder. Paths are
 * UTF-8. */
#ifndef AMPZOO_FILES_H
#define AMPZOO_FILES_H

#include <stddef.h>

enum { PATH_MOST = 4096, FILE_MOST = 1 << 28 };

/* The path of the file of this library; returns whether it is known. */
int library_path(char path[PATH_MOST]);

/* The bytes of a file in memory that malloc gave, NULL where it cannot be read, is no regular file or is larger than
 * FILE_MOST. */
unsigned char *read_file(const char *path, size_t *size);

/* Call `visit` with the name of everything in a folder. */
void list_folder(const char *path, void (*visit)(const char *name, void *context), void *context);

#endif
