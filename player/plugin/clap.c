/* The CLAP plugins of this library: one per amp of the catalog. */
#include "clap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog.h"
#include "instance.h"
#include "plugin.h"

enum { MONO = 1, STEREO = 2 };             /* ids of layouts, and their channels */

typedef struct {
    ClapPlugin plugin;
    const ClapHost *host;
    Instance *instance;
    uint32_t channels;
    int active;
    int32_t told_latency;
} ClapAmp;

typedef struct { ClapDescriptor descriptor; char id[64]; } Described;

static Described *described;               /* one per amp of the catalog */
static int32_t described_count, inits;

static ClapAmp *of(const ClapPlugin *plugin) { return plugin->data; }

/* Life. */

static bool plugin_init(const ClapPlugin *plugin) {
    (void)plugin;
    return true;
}

static void plugin_destroy(const ClapPlugin *plugin) {
    ClapAmp *c = of(plugin);
    instance_free(c->instance);
    free(c);
}

static void tell_latency(ClapAmp *c) {
    const int32_t latency = instance_latency(c->instance);
    if (latency == c->told_latency) return;
    c->told_latency = latency;
    const ClapHostLatency *host = c->host->get_extension(c->host, "clap.latency");
    if (host) host->changed(c->host);
}

static bool plugin_activate(const ClapPlugin *plugin, double rate, uint32_t least, uint32_t most) {
    (void)least, (void)most;               /* blocks of any length */
    ClapAmp *c = of(plugin);
    if (!instance_set_rate(c->instance, rate) || !instance_start(c->instance, (int32_t)c->channels)) return false;
    c->active = 1;
    tell_latency(c);
    return true;
}

static void plugin_deactivate(const ClapPlugin *plugin) {
    instance_stop(of(plugin)->instance);
    of(plugin)->active = 0;
}

static bool plugin_start(const ClapPlugin *plugin) { return of(plugin)->active; }

static void plugin_nothing(const ClapPlugin *plugin) { (void)plugin; }

static void plugin_reset(const ClapPlugin *plugin) { instance_reset(of(plugin)->instance); }

/* Sound. */

static void take_event(ClapAmp *c, const ClapEvent *event) {
    if (event->space != EVENT_CORE_SPACE || event->type != EVENT_PARAM_VALUE) return;
    const ClapParamEvent *turn = (const ClapParamEvent *)event;
    instance_set(c->instance, parameters_find(instance_parameters(c->instance), turn->id), turn->value);
}

static int buffers_fit(const ClapAmp *c, const ClapProcess *p) {
    return p->input_count == 1 && p->output_count == 1 && p->inputs->data32 && p->outputs->data32
        && p->inputs->channels == c->channels && p->outputs->channels == c->channels;
}

/* Blocks are cut where a knob turns. */
static int32_t plugin_process(const ClapPlugin *plugin, const ClapProcess *p) {
    ClapAmp *c = of(plugin);
    const uint32_t events = p->in_events ? p->in_events->size(p->in_events) : 0;
    if (p->frames && (!c->active || !buffers_fit(c, p))) return PROCESS_ERROR;
    uint32_t done = 0, next = 0;
    while (done < p->frames) {
        for (; next < events && p->in_events->get(p->in_events, next)->time <= done; next++)
            take_event(c, p->in_events->get(p->in_events, next));
        const uint32_t turn = next < events ? p->in_events->get(p->in_events, next)->time : p->frames;
        const uint32_t end = turn < p->frames ? turn : p->frames;
        const float *x[INSTANCE_CHANNELS] = {0};
        float *y[INSTANCE_CHANNELS] = {0};
        for (uint32_t i = 0; i < c->channels; i++) {
            x[i] = p->inputs->data32[i] + done;
            y[i] = p->outputs->data32[i] + done;
        }
        instance_process(c->instance, x, y, (int32_t)(end - done));
        done = end;
    }
    for (; next < events; next++) take_event(c, p->in_events->get(p->in_events, next));
    if (p->output_count) p->outputs->constant_mask = 0;
    return PROCESS_CONTINUE;
}

/* Knobs. */

static int32_t find(const ClapPlugin *plugin, uint32_t id) {
    return parameters_find(instance_parameters(of(plugin)->instance), id);
}

static uint32_t params_count(const ClapPlugin *plugin) {
    return (uint32_t)instance_parameters(of(plugin)->instance)->count;
}

static bool params_info(const ClapPlugin *plugin, uint32_t index, ClapParamInfo *info) {
    const Parameters *p = instance_parameters(of(plugin)->instance);
    if (index >= (uint32_t)p->count) return false;
    const AmpKnob *k = p->knobs + index;
    memset(info, 0, sizeof *info);
    info->id = p->ids[index];
    info->flags = PARAM_AUTOMATABLE | (k->kind == KNOB_SWITCH ? PARAM_STEPPED | PARAM_ENUM : 0);
    memcpy(info->name, k->name, AMP_TEXT);
    info->min = k->min;
    info->max = k->max;
    info->rest = k->rest;
    return true;
}

static bool params_value(const ClapPlugin *plugin, uint32_t id, double *value) {
    const int32_t index = find(plugin, id);
    if (index >= 0) *value = instance_get(of(plugin)->instance, index);
    return index >= 0;
}

static bool params_write(const ClapPlugin *plugin, uint32_t id, double value, char *text, uint32_t size) {
    const int32_t index = find(plugin, id);
    if (index < 0 || !size) return false;
    parameters_write(instance_parameters(of(plugin)->instance), index, value, 1, text, size);
    return true;
}

static bool params_parse(const ClapPlugin *plugin, uint32_t id, const char *text, double *value) {
    const int32_t index = find(plugin, id);
    return index >= 0 && parameters_parse(instance_parameters(of(plugin)->instance), index, text, value);
}

static void params_flush(const ClapPlugin *plugin, const ClapEvents *in, const void *out) {
    (void)out;
    const uint32_t events = in->size(in);
    for (uint32_t i = 0; i < events; i++) take_event(of(plugin), in->get(in, i));
}

/* Ports: one input and one output, mono or stereo. */

static const char *type_of(uint32_t channels) { return channels == MONO ? "mono" : "stereo"; }

static uint32_t ports_count(const ClapPlugin *plugin, bool is_input) {
    (void)plugin, (void)is_input;
    return 1;
}

static bool ports_get(const ClapPlugin *plugin, uint32_t index, bool is_input, ClapPortInfo *info) {
    const uint32_t channels = of(plugin)->channels;
    if (index) return false;
    memset(info, 0, sizeof *info);
    strcpy(info->name, is_input ? "Input" : "Output");
    info->flags = PORT_IS_MAIN;
    info->channels = channels;
    info->type = type_of(channels);
    info->in_place_pair = info->id;        /* both ports have the id 0 */
    return true;
}

static uint32_t configs_count(const ClapPlugin *plugin) {
    (void)plugin;
    return STEREO;
}

static bool configs_get(const ClapPlugin *plugin, uint32_t index, ClapPortsConfig *config) {
    (void)plugin;
    if (index >= STEREO) return false;
    memset(config, 0, sizeof *config);
    const uint32_t channels = index + 1;
    config->id = channels;
    strcpy(config->name, channels == MONO ? "Mono" : "Stereo");
    config->input_ports = config->output_ports = 1;
    config->has_input = config->has_output = true;
    config->input_channels = config->output_channels = channels;
    config->input_type = config->output_type = type_of(channels);
    return true;
}

static bool configs_select(const ClapPlugin *plugin, uint32_t id) {
    if (of(plugin)->active || id < MONO || id > STEREO) return false;
    of(plugin)->channels = id;
    return true;
}

/* State. */

static bool state_save(const ClapPlugin *plugin, const ClapOutStream *stream) {
    unsigned char bytes[STATE_MOST];
    const size_t size = instance_save(of(plugin)->instance, bytes);
    for (size_t done = 0; done < size;) {
        const int64_t wrote = stream->write(stream, bytes + done, size - done);
        if (wrote <= 0) return false;
        done += (size_t)wrote;
    }
    return true;
}

static bool state_load(const ClapPlugin *plugin, const ClapInStream *stream) {
    ClapAmp *c = of(plugin);
    unsigned char bytes[STATE_MOST];
    size_t size = 0;
    for (int64_t got = 1; got > 0 && size < STATE_MOST; size += (size_t)got) {
        got = stream->read(stream, bytes + size, STATE_MOST - size);
        if (got < 0) return false;
    }
    if (!instance_load(c->instance, bytes, size)) return false;
    const ClapHostParams *host = c->host->get_extension(c->host, "clap.params");
    if (host) host->rescan(c->host, RESCAN_VALUES);
    return true;
}

static uint32_t latency_get(const ClapPlugin *plugin) { return (uint32_t)instance_latency(of(plugin)->instance); }

static uint32_t tail_get(const ClapPlugin *plugin) { return (uint32_t)instance_tail(of(plugin)->instance); }

static const void *plugin_extension(const ClapPlugin *plugin, const char *id) {
    static const ClapParams params = {
        params_count, params_info, params_value, params_write, params_parse, params_flush,
    };
    static const ClapPorts ports = {ports_count, ports_get};
    static const ClapPortsConfigs configs = {configs_count, configs_get, configs_select};
    static const ClapState state = {state_save, state_load};
    static const ClapLatency latency = {latency_get};
    static const ClapTail tail = {tail_get};
    static const struct { const char *id; const void *extension; } all[] = {
        {"clap.params", &params}, {"clap.audio-ports", &ports}, {"clap.audio-ports-config", &configs},
        {"clap.state", &state}, {"clap.latency", &latency}, {"clap.tail", &tail},
    };
    (void)plugin;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(id, all[i].id)) return all[i].extension;
    return NULL;
}

/* The factory and the entry. */

static uint32_t factory_count(const ClapFactory *factory) {
    (void)factory;
    return (uint32_t)described_count;
}

static const ClapDescriptor *factory_descriptor(const ClapFactory *factory, uint32_t index) {
    (void)factory;
    return index < (uint32_t)described_count ? &described[index].descriptor : NULL;
}

static const ClapPlugin *factory_create(const ClapFactory *factory, const ClapHost *host, const char *id) {
    (void)factory;
    int32_t index = 0;
    while (index < described_count && strcmp(described[index].id, id)) index++;
    if (index == described_count || !host) return NULL;
    size_t size;
    unsigned char *bytes = catalog_read(catalog_at(index), &size);
    Instance *instance = bytes ? instance_new(bytes, size) : NULL;
    ClapAmp *c = instance ? calloc(1, sizeof *c) : NULL;
    if (!c) {
        if (instance) instance_free(instance);
        return NULL;
    }
    c->host = host;
    c->instance = instance;
    c->channels = STEREO;
    c->plugin = (ClapPlugin){
        &described[index].descriptor, c, plugin_init, plugin_destroy, plugin_activate, plugin_deactivate, plugin_start,
        plugin_nothing, plugin_reset, plugin_process, plugin_extension, plugin_nothing,
    };
    return &c->plugin;
}

static const ClapVersion CLAP_VERSION = {1, 2, 0};

static void describe(Described *d, const CatalogAmp *amp) {
    static const char *const features[] = {"audio-effect", "distortion", "mono", "stereo", NULL};
    snprintf(d->id, sizeof d->id, "org.ampzoo.%s", amp->hex);
    d->descriptor = (ClapDescriptor){
        CLAP_VERSION, d->id, amp->name, PLUGIN_VENDOR, "", "", "", PLUGIN_VERSION, PLUGIN_DESCRIPTION, features,
    };
}

static bool entry_init(const char *path) {
    (void)path;
    if (inits++) return true;
    catalog_open();
    described = calloc((size_t)catalog_count() + 1, sizeof *described);
    described_count = described ? catalog_count() : 0;
    for (int32_t i = 0; i < described_count; i++) describe(described + i, catalog_at(i));
    return true;
}

static void entry_deinit(void) {
    if (!inits || --inits) return;
    free(described);
    described = NULL;
    described_count = 0;
    catalog_close();
}

static const void *entry_factory(const char *id) {
    static const ClapFactory factory = {factory_count, factory_descriptor, factory_create};
    return strcmp(id, "clap.plugin-factory") ? NULL : &factory;
}

PLUGIN_EXPORT const ClapEntry clap_entry = {{1, 2, 0}, entry_init, entry_deinit, entry_factory};
