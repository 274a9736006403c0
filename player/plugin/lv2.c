/* The LV2 plugins of this library: two per amp, mono and stereo. The bundle's Turtle files describe them
 * (models/formats/plugin/turtle.py), with the ports in this order: inputs, outputs, the latency, the knobs, and how they
 * move. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog.h"
#include "instance.h"
#include "lv2.h"
#include "plugin.h"

typedef struct {
    Instance *instance;
    uint32_t channels;
    const float *x[INSTANCE_CHANNELS];
    float *y[INSTANCE_CHANNELS], *latency;
    const float *knobs[PARAMETERS_MOST];
} Lv2Amp;

typedef struct { Lv2Descriptor descriptor; char uri[64]; } Lv2Described;

static const char STEREO_ENDING[] = ":stereo";

static uint32_t channels_of(const char *uri) {
    const size_t length = strlen(uri), ending = sizeof STEREO_ENDING - 1;
    return length > ending && !strcmp(uri + length - ending, STEREO_ENDING) ? 2 : 1;
}

static void cleanup(void *self) {
    Lv2Amp *amp = self;
    instance_free(amp->instance);
    free(amp);
}

static const CatalogAmp *amp_of(const char *uri) {
    for (int32_t i = 0; i < catalog_count(); i++)
        if (strstr(uri, catalog_at(i)->hex)) return catalog_at(i);
    return NULL;
}

static void *instantiate(const Lv2Descriptor *descriptor, double rate, const char *bundle,
                         const void *const *features) {
    (void)bundle, (void)features;
    const CatalogAmp *found = amp_of(descriptor->uri);
    size_t size;
    unsigned char *bytes = found ? catalog_read(found, &size) : NULL;
    Instance *instance = bytes ? instance_new(bytes, size) : NULL;
    Lv2Amp *amp = instance ? calloc(1, sizeof *amp) : NULL;
    if (amp) {
        *amp = (Lv2Amp){.instance = instance, .channels = channels_of(descriptor->uri)};
        if (instance_set_rate(instance, rate) && instance_start(instance, (int32_t)amp->channels)) return amp;
    }
    free(amp);
    if (instance) instance_free(instance);
    return NULL;
}

static void connect_port(void *self, uint32_t port, void *data) {
    Lv2Amp *amp = self;
    const uint32_t latency = 2 * amp->channels, knob = port - latency - 1;
    if (port < amp->channels) amp->x[port] = data;
    else if (port < latency) amp->y[port - amp->channels] = data;
    else if (port == latency) amp->latency = data;
    else if (knob < PARAMETERS_MOST) amp->knobs[knob] = data;
}

static void read_ports(Lv2Amp *amp) {
    for (int32_t i = 0; i < instance_parameters(amp->instance)->count; i++)
        if (amp->knobs[i]) instance_set(amp->instance, i, *amp->knobs[i]);
    if (amp->latency) *amp->latency = (float)instance_latency(amp->instance);
}

static void activate(void *self) {
    read_ports(self);
    instance_reset(((Lv2Amp *)self)->instance);
}

static void run(void *self, uint32_t samples) {
    Lv2Amp *amp = self;
    read_ports(amp);
    instance_process(amp->instance, amp->x, amp->y, (int32_t)samples);
}

static void deactivate(void *self) { (void)self; }

static const void *extension_data(const char *uri) {
    (void)uri;
    return NULL;
}

/* Descriptors live as long as the library. Hosts call this from one thread. */
PLUGIN_EXPORT const Lv2Descriptor *lv2_descriptor(uint32_t index) {
    static Lv2Described *all;
    if (!all) {
        catalog_open();
        all = calloc(2 * (size_t)catalog_count() + 1, sizeof *all);
    }
    const CatalogAmp *amp = all ? catalog_at((int32_t)(index / 2)) : NULL;
    if (!amp) return NULL;
    Lv2Described *d = all + index;
    snprintf(d->uri, sizeof d->uri, "urn:ampzoo:%s%s", amp->hex, index % 2 ? STEREO_ENDING : "");
    d->descriptor = (Lv2Descriptor){
        d->uri, instantiate, connect_port, activate, run, deactivate, cleanup, extension_data,
    };
    return &d->descriptor;
}
