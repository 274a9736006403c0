/* VST 3, as far as these plugins use it: the layouts, identifiers and result codes of the standard's binary interface
 * (steinbergmedia.github.io/vst3_dev_portal; the C header of github.com/steinbergmedia/vst3_c_api states them),
 * declared anew. An interface is a pointer to a table of functions; each takes the interface first. */
#ifndef AMPZOO_VST3_H
#define AMPZOO_VST3_H

#include <stdint.h>
#include <string.h>

#include "instance.h"

typedef int32_t Result;
typedef int16_t Text[128];                 /* UTF-16 */
typedef char Id[16];

#define ID_BYTES(x) (char)((x) >> 24 & 255), (char)((x) >> 16 & 255), (char)((x) >> 8 & 255), (char)((x) & 255)
#if defined(_WIN32)                        /* identifiers and codes are those of COM */
enum { RESULT_OK = 0, RESULT_FALSE = 1 };
#define NO_INTERFACE ((Result)0x80004002)
#define INVALID_ARGUMENT ((Result)0x80070057)
#define NOT_IMPLEMENTED ((Result)0x80004001)
#define ID_TURNED(x) (char)((x) & 255), (char)((x) >> 8 & 255), (char)((x) >> 16 & 255), (char)((x) >> 24 & 255)
#define ID_HALVES(x) (char)((x) >> 16 & 255), (char)((x) >> 24 & 255), (char)((x) & 255), (char)((x) >> 8 & 255)
#define ID(a, b, c, d) { ID_TURNED(a), ID_HALVES(b), ID_BYTES(c), ID_BYTES(d) }
#else
enum { RESULT_OK = 0, RESULT_FALSE = 1 };
#define NO_INTERFACE ((Result)-1)
#define INVALID_ARGUMENT ((Result)2)
#define NOT_IMPLEMENTED ((Result)3)
#define ID(a, b, c, d) { ID_BYTES(a), ID_BYTES(b), ID_BYTES(c), ID_BYTES(d) }
/* Make an object of an instance, which it takes, and return one of its interfaces. */
Result vst3_create(Instance *instance, const char *interface, void **out);

#endif

static inline int same_id(const char *a, const Id b) { return !memcmp(a, b, sizeof(Id)); }

enum { IS_AUDIO = 0, IS_OUTPUT = 1 };                                  /* media type, direction */
enum { BUS_MAIN = 0, BUS_ACTIVE = 1 };
enum { PARAM_AUTOMATES = 1, PARAM_LIST = 8 };
enum { MANY_INSTANCES = 0x7fffffff, FACTORY_UNICODE = 1 << 4, SAMPLES_32 = 0 };

#define ARRANGED_STEREO 3ull
#define ARRANGED_MONO (1ull << 19)

typedef struct { char vendor[64], url[256], email[128]; int32_t flags; } FactoryInfo;
typedef struct { Id id; int32_t cardinality; char category[32], name[64]; } ClassInfo;

typedef struct {
    Id id;
    int32_t cardinality;
    char category[32], name[64];
    uint32_t flags;
    char subcategories[128], vendor[64], version[64], sdk[64];
} ClassInfo2;

typedef struct { int32_t media, direction, channels; Text name; int32_t type; uint32_t flags; } BusInfo;
typedef struct { int32_t mode, sample_size, most_samples; double rate; } ProcessSetup;
typedef struct { int32_t channels; uint64_t silence; float **buffers; } BusBuffers;

typedef struct {
    uint32_t id;
    Text title, short_title, units;
    int32_t steps;
    double rest;
    int32_t unit, flags;
} ParameterInfo;

typedef struct { Result (*query)(void *, const Id, void **); uint32_t (*add)(void *), (*release)(void *); } Unknown;

typedef struct PointQueue { const struct PointQueueTable *table; } PointQueue;
typedef struct Changes { const struct ChangesTable *table; } Changes;
typedef struct Stream { const struct StreamTable *table; } Stream;

struct PointQueueTable {
    Unknown unknown;
    uint32_t (*parameter)(PointQueue *);
    int32_t (*count)(PointQueue *);
    Result (*point)(PointQueue *, int32_t index, int32_t *offset, double *turn);
};

struct ChangesTable {
    Unknown unknown;
    int32_t (*count)(Changes *);
    PointQueue *(*queue)(Changes *, int32_t index);
};

struct StreamTable {
    Unknown unknown;
    Result (*read)(Stream *, void *bytes, int32_t size, int32_t *done);
    Result (*write)(Stream *, const void *bytes, int32_t size, int32_t *done);
};

typedef struct {
    int32_t mode, sample_size, samples, input_count, output_count;
    BusBuffers *inputs, *outputs;
    Changes *changes, *out_changes;
    void *events, *out_events, *context;
} ProcessData;

typedef struct {
    Unknown unknown;
    Result (*initialize)(void *, void *context), (*terminate)(void *);
    Result (*controller_id)(void *, Id), (*io_mode)(void *, int32_t);
    int32_t (*bus_count)(void *, int32_t media, int32_t direction);
    Result (*bus_info)(void *, int32_t media, int32_t direction, int32_t index, BusInfo *);
    Result (*routing)(void *, void *in, void *out);
    Result (*activate_bus)(void *, int32_t media, int32_t direction, int32_t index, uint8_t on);
    Result (*set_active)(void *, uint8_t on), (*set_state)(void *, Stream *), (*get_state)(void *, Stream *);
} ComponentTable;

typedef struct {
    Unknown unknown;
    Result (*set_arrangements)(void *, const uint64_t *in, int32_t ins, const uint64_t *out, int32_t outs);
    Result (*arrangement)(void *, int32_t direction, int32_t index, uint64_t *);
    Result (*can_process)(void *, int32_t sample_size);
    uint32_t (*latency)(void *);
    Result (*setup)(void *, const ProcessSetup *), (*set_processing)(void *, uint8_t on);
    Result (*process)(void *, ProcessData *);
    uint32_t (*tail)(void *);
} ProcessorTable;

typedef struct {
    Unknown unknown;
    Result (*initialize)(void *, void *context), (*terminate)(void *);
    Result (*component_state)(void *, Stream *), (*set_state)(void *, Stream *), (*get_state)(void *, Stream *);
    int32_t (*count)(void *);
    Result (*info)(void *, int32_t index, ParameterInfo *);
    Result (*to_text)(void *, uint32_t id, double turn, Text);
    Result (*from_text)(void *, uint32_t id, const int16_t *, double *turn);
    double (*to_plain)(void *, uint32_t id, double turn), (*to_turn)(void *, uint32_t id, double plain);
    double (*get)(void *, uint32_t id);
    Result (*set)(void *, uint32_t id, double turn), (*set_handler)(void *, void *);
    void *(*view)(void *, const char *name);
} ControllerTable;

typedef struct { Unknown unknown; uint32_t (*requirements)(void *); } RequirementsTable;

typedef struct {
    Unknown unknown;
    Result (*info)(void *, FactoryInfo *);
    int32_t (*count)(void *);
    Result (*class_info)(void *, int32_t index, ClassInfo *);
    Result (*create)(void *, const char *class_id, const char *interface, void **);
    Result (*class_info_2)(void *, int32_t index, ClassInfo2 *);
} FactoryTable;

/* Make an object of an instance, which it takes, and return one of its interfaces. */
Result vst3_create(Instance *instance, const char *interface, void **out);

#endif
