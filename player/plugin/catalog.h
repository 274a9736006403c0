/* The amps that this library plays, found beside it: one, or all of a folder.
 *
 * The data is at the end of the library's own file (then come its length in 4 bytes, the lowest first, and
 * "AMPZTAIL"), else the file `amp.bin` in `../Resources` or beside the library. It is either an amp.bin, or "AMPSHELF",
 * a new line and the path (UTF-8) of a folder whose files OWNER--AMP.bin are the amps.
 */
#ifndef AMPZOO_CATALOG_H
#define AMPZOO_CATALOG_H

#include "../amp.h"

enum { CATALOG_MOST = 4096, CATALOG_HEX = 2 * AMP_IDENTITY + 1 };

typedef struct {
    char name[AMP_NAME];
    unsigned char identity[AMP_IDENTITY];
    char hex[CATALOG_HEX];                 /* of the identity, NUL at the end */
    char *path;                            /* NULL where the amp is the library's own data */
} CatalogAmp;

/* Find the amps, and forget them again; calls nest. What is broken is left out. */
void catalog_open(void);
void catalog_close(void);

int32_t catalog_count(void);
const CatalogAmp *catalog_at(int32_t index);             /* NULL where there is none */
const CatalogAmp *catalog_find(const unsigned char identity[AMP_IDENTITY]);

/* The amp.bin of an amp in memory that malloc gave, NULL where it cannot be read. */
unsigned char *catalog_read(const CatalogAmp *amp, size_t *size);

#endif
