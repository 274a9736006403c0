/* CLAP 1.2, as far as these plugins use it: the layouts and names of the standard (github.com/free-audio/clap),
 * declared anew. The thread of each function is in brackets there: [main-thread], [audio-thread]. */
#ifndef AMPZOO_CLAP_H
#define AMPZOO_CLAP_H

#include <stdbool.h>
#include <stdint.h>

enum { CLAP_NAME = 256, CLAP_PATH = 1024 };
enum { PARAM_STEPPED = 1 << 0, PARAM_AUTOMATABLE = 1 << 5, PARAM_ENUM = 1 << 16 };
enum { EVENT_CORE_SPACE = 0, EVENT_PARAM_VALUE = 5 };
enum { PROCESS_ERROR = 0, PROCESS_CONTINUE = 1 };
enum { PORT_IS_MAIN = 1, RESCAN_VALUES = 1 };

typedef struct { uint32_t major, minor, revision; } ClapVersion;

typedef struct {
    ClapVersion version;
    const char *id, *name, *vendor, *url, *manual_url, *support_url, *plugin_version, *description;
    const char *const *features;
} ClapDescriptor;

typedef struct { uint32_t size, time; uint16_t space, type; uint32_t flags; } ClapEvent;

typedef struct {
    ClapEvent event;
    uint32_t id;
    void *cookie;
    int32_t note;
    int16_t port, channel, key;
    double value;
} ClapParamEvent;

typedef struct ClapEvents {
    void *context;
    uint32_t (*size)(const struct ClapEvents *list);
    const ClapEvent *(*get)(const struct ClapEvents *list, uint32_t index);
} ClapEvents;

typedef struct {
    float **data32;
    double **data64;
    uint32_t channels, latency;
    uint64_t constant_mask;
} ClapBuffer;

typedef struct {
    int64_t steady_time;
    uint32_t frames;
    const void *transport;
    const ClapBuffer *inputs;
    ClapBuffer *outputs;
    uint32_t input_count, output_count;
    const ClapEvents *in_events;
    const void *out_events;
} ClapProcess;

typedef struct ClapHost {
    ClapVersion version;
    void *data;
    const char *name, *vendor, *url, *host_version;
    const void *(*get_extension)(const struct ClapHost *host, const char *id);
    void (*request_restart)(const struct ClapHost *host);
    void (*request_process)(const struct ClapHost *host);
    void (*request_callback)(const struct ClapHost *host);
} ClapHost;

typedef struct ClapPlugin {
    const ClapDescriptor *descriptor;
    void *data;
    bool (*init)(const struct ClapPlugin *plugin);
    void (*destroy)(const struct ClapPlugin *plugin);
    bool (*activate)(const struct ClapPlugin *plugin, double rate, uint32_t least_frames, uint32_t most_frames);
    void (*deactivate)(const struct ClapPlugin *plugin);
    bool (*start_processing)(const struct ClapPlugin *plugin);
    void (*stop_processing)(const struct ClapPlugin *plugin);
    void (*reset)(const struct ClapPlugin *plugin);
    int32_t (*process)(const struct ClapPlugin *plugin, const ClapProcess *process);
    const void *(*get_extension)(const struct ClapPlugin *plugin, const char *id);
    void (*on_main_thread)(const struct ClapPlugin *plugin);
} ClapPlugin;

typedef struct {
    uint32_t id, flags;
    void *cookie;
    char name[CLAP_NAME], module[CLAP_PATH];
    double min, max, rest;
} ClapParamInfo;

typedef struct {
    uint32_t (*count)(const ClapPlugin *plugin);
    bool (*get_info)(const ClapPlugin *plugin, uint32_t index, ClapParamInfo *info);
    bool (*get_value)(const ClapPlugin *plugin, uint32_t id, double *value);
    bool (*value_to_text)(const ClapPlugin *plugin, uint32_t id, double value, char *text, uint32_t size);
    bool (*text_to_value)(const ClapPlugin *plugin, uint32_t id, const char *text, double *value);
    void (*flush)(const ClapPlugin *plugin, const ClapEvents *in, const void *out);
} ClapParams;

typedef struct {
    uint32_t id;
    char name[CLAP_NAME];
    uint32_t flags, channels;
    const char *type;
    uint32_t in_place_pair;
} ClapPortInfo;

typedef struct {
    uint32_t (*count)(const ClapPlugin *plugin, bool is_input);
    bool (*get)(const ClapPlugin *plugin, uint32_t index, bool is_input, ClapPortInfo *info);
} ClapPorts;

typedef struct {
    uint32_t id;
    char name[CLAP_NAME];
    uint32_t input_ports, output_ports;
    bool has_input;
    uint32_t input_channels;
    const char *input_type;
    bool has_output;
    uint32_t output_channels;
    const char *output_type;
} ClapPortsConfig;

typedef struct {
    uint32_t (*count)(const ClapPlugin *plugin);
    bool (*get)(const ClapPlugin *plugin, uint32_t index, ClapPortsConfig *config);
    bool (*select)(const ClapPlugin *plugin, uint32_t id);
} ClapPortsConfigs;

typedef struct ClapOutStream {
    void *context;
    int64_t (*write)(const struct ClapOutStream *stream, const void *bytes, uint64_t size);
} ClapOutStream;

typedef struct ClapInStream {
    void *context;
    int64_t (*read)(const struct ClapInStream *stream, void *bytes, uint64_t size);
} ClapInStream;

typedef struct {
    bool (*save)(const ClapPlugin *plugin, const ClapOutStream *stream);
    bool (*load)(const ClapPlugin *plugin, const ClapInStream *stream);
} ClapState;

typedef struct { uint32_t (*get)(const ClapPlugin *plugin); } ClapLatency, ClapTail;

typedef struct { void (*changed)(const ClapHost *host); } ClapHostLatency;

typedef struct { void (*rescan)(const ClapHost *host, uint32_t flags); } ClapHostParams;   /* the first of three */

typedef struct ClapFactory {
    uint32_t (*count)(const struct ClapFactory *factory);
    const ClapDescriptor *(*descriptor)(const struct ClapFactory *factory, uint32_t index);
    const ClapPlugin *(*create)(const struct ClapFactory *factory, const ClapHost *host, const char *id);
} ClapFactory;

typedef struct {
    ClapVersion version;
    bool (*init)(const char *path);
    void (*deinit)(void);
    const void *(*get_factory)(const char *id);
} ClapEntry;

#endif
