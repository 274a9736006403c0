/* LV2 1.18: the one structure that plugins need, as lv2plug.in/ns/lv2core defines it. */
#ifndef AMPZOO_LV2_H
#define AMPZOO_LV2_H

#include <stdint.h>

typedef struct Lv2Descriptor {
    const char *uri;
    void *(*instantiate)(const struct Lv2Descriptor *descriptor, double rate, const char *bundle,
                         const void *const *features);
    void (*connect_port)(void *amp, uint32_t port, void *data);
    void (*activate)(void *amp);
    void (*run)(void *amp, uint32_t samples);
    void (*deactivate)(void *amp);
    void (*cleanup)(void *amp);
    const void *(*extension_data)(const char *uri);
} Lv2Descriptor;

#endif
