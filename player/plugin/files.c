/* Files, for Linux, macOS and Windows. */
#define _GNU_SOURCE
#include "files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#include <windows.h>

static int widen(const char *from, wchar_t to[PATH_MOST]) {
    return MultiByteToWideChar(CP_UTF8, 0, from, -1, to, PATH_MOST) > 0;
}

static int narrow(const wchar_t *from, char to[PATH_MOST]) {
    return WideCharToMultiByte(CP_UTF8, 0, from, -1, to, PATH_MOST, NULL, NULL) > 0;
}

static FILE *open_file(const char *path) {
    static const wchar_t mode[] = {'r', 'b', 0};
    wchar_t wide[PATH_MOST];
    return widen(path, wide) ? _wfopen(wide, mode) : NULL;
}

int library_path(char path[PATH_MOST]) {
    HMODULE library;
    wchar_t wide[PATH_MOST];
    const DWORD flags = GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    if (!GetModuleHandleExW(flags, (LPCWSTR)(void *)&library_path, &library)) return 0;
    const DWORD length = GetModuleFileNameW(library, wide, PATH_MOST);
    return length > 0 && length < PATH_MOST && narrow(wide, path);
}

void list_folder(const char *path, void (*visit)(const char *name, void *context), void *context) {
    char pattern[PATH_MOST], name[PATH_MOST];
    wchar_t wide[PATH_MOST];
    if (snprintf(pattern, sizeof pattern, "%s\\*", path) >= PATH_MOST || !widen(pattern, wide)) return;
    WIN32_FIND_DATAW found;
    const HANDLE handle = FindFirstFileW(wide, &found);
    if (handle == INVALID_HANDLE_VALUE) return;
    do
        if (narrow(found.cFileName, name)) visit(name, context);
    while (FindNextFileW(handle, &found));
    FindClose(handle);
}

#else
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Open a regular file; a pipe is not waited for. */
static FILE *open_file(const char *path) {
    const int handle = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat found;
    FILE *file = handle >= 0 && !fstat(handle, &found) && S_ISREG(found.st_mode) ? fdopen(handle, "rb") : NULL;
    if (!file && handle >= 0) close(handle);
    return file;
}

int library_path(char path[PATH_MOST]) {
    Dl_info info;
    if (!dladdr((void *)&library_path, &info) || !info.dli_fname || strlen(info.dli_fname) >= PATH_MOST) return 0;
    strcpy(path, info.dli_fname);
    return 1;
}

void list_folder(const char *path, void (*visit)(const char *name, void *context), void *context) {
    DIR *folder = opendir(path);
    if (!folder) return;
    for (struct dirent *entry; (entry = readdir(folder));) visit(entry->d_name, context);
    closedir(folder);
}
#endif

unsigned char *read_file(const char *path, size_t *size) {
    FILE *file = open_file(path);
    unsigned char *bytes = NULL;
    if (!file) return NULL;
    const long length = fseek(file, 0, SEEK_END) ? -1 : ftell(file);
    if (length > 0 && length <= FILE_MOST && !fseek(file, 0, SEEK_SET) && (bytes = malloc((size_t)length))) {
        *size = fread(bytes, 1, (size_t)length, file);
        if (*size != (size_t)length) {
            free(bytes);
            bytes = NULL;
        }
    }
    fclose(file);
    return bytes;
}
