/* An amp as an object of VST 3: it is component, processor and controller. */
#include "vst3.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_QUEUES = PARAMETERS_MOST };

static const Id UNKNOWN = ID(0x00000000u, 0x00000000u, 0xC0000000u, 0x00000046u);
static const Id BASE = ID(0x22888DDBu, 0x156E45AEu, 0x8358B348u, 0x08190625u);
static const Id COMPONENT = ID(0xE831FF31u, 0xF2D54301u, 0x928EBBEEu, 0x25697802u);
static const Id PROCESSOR = ID(0x42043F99u, 0xB7DA453Cu, 0xA569E79Du, 0x9AAEC33Du);
static const Id CONTROLLER = ID(0xDCD7BBE3u, 0x7742448Du, 0xA874AACCu, 0x979C759Eu);
static const Id REQUIREMENTS = ID(0x2A654303u, 0xEF764E3Du, 0x95B5FE83u, 0x730EF6D0u);

typedef struct {
    const ComponentTable *component;
    const ProcessorTable *processor;
    const ControllerTable *controller;
    const RequirementsTable *requirements;
    atomic_int references;
    Instance *instance;
    int32_t inputs, outputs;                     /* channels */
    int32_t active;
    _Atomic double shown[PARAMETERS_MOST];         /* values in the host's eyes; the sound follows `process` */
} Vst3Amp;

#define FROM(field) ((Vst3Amp *)((char *)self - offsetof(Vst3Amp, field)))

static void widen(Text to, const char *from) {
    int i = 0;
    for (; from[i] && i < 127; i++) to[i] = (unsigned char)from[i];
    to[i] = 0;
}

/* The object. */

static Result query_amp(Vst3Amp *v, const Id id, void **out) {
    *out = NULL;
    if (same_id(id, UNKNOWN) || same_id(id, BASE) || same_id(id, COMPONENT)) *out = &v->component;
    else if (same_id(id, PROCESSOR)) *out = &v->processor;
    else if (same_id(id, CONTROLLER)) *out = &v->controller;
    else if (same_id(id, REQUIREMENTS)) *out = &v->requirements;
    else return NO_INTERFACE;
    atomic_fetch_add(&v->references, 1);
    return RESULT_OK;
}

static uint32_t release_amp(Vst3Amp *v) {
    const int left = atomic_fetch_sub(&v->references, 1) - 1;
    if (left) return (uint32_t)left;
    instance_free(v->instance);
    free(v);
    return 0;
}

#define UNKNOWN_OF(field) \
    static Result field##_query(void *self, const Id id, void **out) { return query_amp(FROM(field), id, out); } \
    static uint32_t field##_add(void *self) { return (uint32_t)atomic_fetch_add(&FROM(field)->references, 1) + 1; } \
    static uint32_t field##_release(void *self) { return release_amp(FROM(field)); }
UNKNOWN_OF(component)
UNKNOWN_OF(processor)
UNKNOWN_OF(controller)
UNKNOWN_OF(requirements)

static Result initialize(void *self, void *context) {
    (void)self, (void)context;
    return RESULT_OK;
}

static Result terminate(void *self) {
    (void)self;
    return RESULT_OK;
}

static double shown(const Vst3Amp *v, int32_t index) {
    return atomic_load_explicit(v->shown + index, memory_order_relaxed);
}

static void show(Vst3Amp *v, int32_t index, double value) {
    atomic_store_explicit(v->shown + index, value, memory_order_relaxed);
}

/* State, of both component and controller. */

static Result save(Vst3Amp *v, Stream *stream) {
    unsigned char bytes[STATE_MOST];
    double values[PARAMETERS_MOST];
    const Parameters *p = instance_parameters(v->instance);
    for (int32_t i = 0; i < p->count; i++) values[i] = shown(v, i);
    const int32_t size = (int32_t)parameters_save(p, values, bytes);
    int32_t done = 0;
    return stream && stream->table->write(stream, bytes, size, &done) == RESULT_OK ? RESULT_OK : RESULT_FALSE;
}

static Result restore(Vst3Amp *v, Stream *stream) {
    unsigned char bytes[STATE_MOST];
    int32_t size = 0, done = 1;
    while (stream && size < STATE_MOST && done > 0) {
        done = 0;
        stream->table->read(stream, bytes + size, STATE_MOST - size, &done);
        if (done > 0 && done <= STATE_MOST - size) size += done;
    }
    if (!instance_load(v->instance, bytes, (size_t)size)) return RESULT_FALSE;
    for (int32_t i = 0; i < instance_parameters(v->instance)->count; i++) show(v, i, instance_get(v->instance, i));
    return RESULT_OK;
}

/* The component. */

static Result controller_id(void *self, Id id) {
    (void)self, (void)id;
    return NOT_IMPLEMENTED;                      /* the component is the controller */
}

static Result io_mode(void *self, int32_t mode) {
    (void)self, (void)mode;
    return NOT_IMPLEMENTED;
}

static int32_t bus_count(void *self, int32_t media, int32_t direction) {
    (void)self, (void)direction;
    return media == IS_AUDIO;
}

static Result bus_info(void *self, int32_t media, int32_t direction, int32_t index, BusInfo *info) {
    Vst3Amp *v = FROM(component);
    if (media != IS_AUDIO || index) return INVALID_ARGUMENT;
    const int out = direction == IS_OUTPUT;
    *info = (BusInfo){IS_AUDIO, direction, out ? v->outputs : v->inputs, {0}, BUS_MAIN, BUS_ACTIVE};
    widen(info->name, out ? "Output" : "Input");
    return RESULT_OK;
}

static Result routing(void *self, void *in, void *out) {
    (void)self, (void)in, (void)out;
    return NOT_IMPLEMENTED;
}

static Result activate_bus(void *self, int32_t media, int32_t direction, int32_t index, uint8_t on) {
    (void)self, (void)direction, (void)on;
    return media != IS_AUDIO || index ? INVALID_ARGUMENT : RESULT_OK;
}

static Result set_active(void *self, uint8_t on) {
    Vst3Amp *v = FROM(component);
    v->active = 0;
    if (!on) return instance_stop(v->instance), RESULT_OK;
    for (int32_t i = 0; i < instance_parameters(v->instance)->count; i++) instance_set(v->instance, i, shown(v, i));
    v->active = instance_start(v->instance, v->inputs);
    return v->active ? RESULT_OK : RESULT_FALSE;
}

static Result component_set_state(void *self, Stream *stream) { return restore(FROM(component), stream); }

static Result component_get_state(void *self, Stream *stream) { return save(FROM(component), stream); }

/* The processor. */

static int32_t channels_of(uint64_t arrangement) {
    return arrangement == ARRANGED_STEREO ? 2 : arrangement == ARRANGED_MONO ? 1 : 0;
}

/* Mono, stereo, and mono in with stereo out. */
static Result set_arrangements(void *self, const uint64_t *in, int32_t ins, const uint64_t *out, int32_t outs) {
    Vst3Amp *v = FROM(processor);
    if (ins != 1 || outs != 1 || v->active) return RESULT_FALSE;
    const int32_t inputs = channels_of(in[0]), outputs = channels_of(out[0]);
    if (!inputs || outputs < inputs) return RESULT_FALSE;
    v->inputs = inputs;
    v->outputs = outputs;
    return RESULT_OK;
}

static Result arrangement(void *self, int32_t direction, int32_t index, uint64_t *found) {
    Vst3Amp *v = FROM(processor);
    if (index) return INVALID_ARGUMENT;
    *found = (direction == IS_OUTPUT ? v->outputs : v->inputs) == 2 ? ARRANGED_STEREO : ARRANGED_MONO;
    return RESULT_OK;
}

static Result can_process(void *self, int32_t sample_size) {
    (void)self;
    return sample_size == SAMPLES_32 ? RESULT_OK : RESULT_FALSE;
}

static uint32_t latency(void *self) { return (uint32_t)instance_latency(FROM(processor)->instance); }

static uint32_t tail(void *self) { return (uint32_t)instance_tail(FROM(processor)->instance); }

static Result setup(void *self, const ProcessSetup *wanted) {
    Vst3Amp *v = FROM(processor);
    if (v->active || wanted->sample_size != SAMPLES_32) return RESULT_FALSE;
    return instance_set_rate(v->instance, wanted->rate) ? RESULT_OK : RESULT_FALSE;
}

static Result set_processing(void *self, uint8_t on) {
    Vst3Amp *v = FROM(processor);
    if (on && v->active) instance_reset(v->instance);
    return RESULT_OK;
}

/* The changes of a block, and how far each queue was followed. */
typedef struct { PointQueue *queue; int32_t knob, next, count; } Following;

static int32_t follow(Vst3Amp *v, Changes *changes, Following *all) {
    const int32_t queues = changes ? changes->table->count(changes) : 0;
    int32_t used = 0;
    for (int32_t i = 0; i < queues && used < MOST_QUEUES; i++) {
        PointQueue *queue = changes->table->queue(changes, i);
        const Parameters *p = instance_parameters(v->instance);
        const int32_t knob = queue ? parameters_find(p, queue->table->parameter(queue)) : -1;
        if (knob >= 0) all[used++] = (Following){queue, knob, 0, queue->table->count(queue)};
    }
    return used;
}

/* Turn the knobs as they stand at a sample; returns the sample at which the next one turns, at most `end`. */
static int32_t turn_knobs(Vst3Amp *v, Following *all, int32_t used, int32_t at, int32_t end) {
    int32_t next = end;
    for (Following *f = all; f < all + used; f++)
        for (; f->next < f->count; f->next++) {
            int32_t offset = 0;
            double turn = 0;
            if (f->queue->table->point(f->queue, f->next, &offset, &turn) != RESULT_OK) continue;
            if (offset > at && at < end) {
                if (offset < next) next = offset;
                break;
            }
            const double value = parameters_value(instance_parameters(v->instance), f->knob, turn);
            instance_set(v->instance, f->knob, value);
            show(v, f->knob, value);
        }
    return next;
}

static float *buffer_of(const BusBuffers *bus, int32_t count, int32_t channel, int32_t at) {
    if (count < 1 || channel >= bus->channels || !bus->buffers || !bus->buffers[channel]) return NULL;
    return bus->buffers[channel] + at;
}

static void play(Vst3Amp *v, ProcessData *data, int32_t at, int32_t samples) {
    const float *x[INSTANCE_CHANNELS];
    float *y[INSTANCE_CHANNELS];
    for (int32_t c = 0; c < INSTANCE_CHANNELS; c++) {
        x[c] = buffer_of(data->inputs, data->input_count, c, at);
        y[c] = buffer_of(data->outputs, data->output_count, c, at);
    }
    instance_process(v->instance, x, y, samples);
    if (v->inputs == 1 && y[0] && y[1]) memcpy(y[1], y[0], sizeof(float) * (size_t)samples);
}

/* A block may have no samples and no buffers: then a host sends knobs alone. */
static Result process(void *self, ProcessData *data) {
    Vst3Amp *v = FROM(processor);
    Following all[MOST_QUEUES];
    const int32_t used = follow(v, data->changes, all), samples = v->active ? data->samples : 0;
    for (int32_t at = 0, end; at < samples; at = end) {
        end = turn_knobs(v, all, used, at, samples);
        play(v, data, at, end - at);
    }
    turn_knobs(v, all, used, samples, samples);
    if (data->output_count > 0 && data->outputs) data->outputs->silence = 0;
    return samples == data->samples ? RESULT_OK : RESULT_FALSE;
}

/* The controller. */

static Result controller_set_component_state(void *self, Stream *stream) { return restore(FROM(controller), stream); }

static Result controller_state(void *self, Stream *stream) {
    (void)self, (void)stream;
    return RESULT_OK;                            /* there is none beside the component's */
}

static int32_t count(void *self) { return instance_parameters(FROM(controller)->instance)->count; }

static Result info(void *self, int32_t index, ParameterInfo *i) {
    const Parameters *p = instance_parameters(FROM(controller)->instance);
    if (index < 0 || index >= p->count) return INVALID_ARGUMENT;
    memset(i, 0, sizeof *i);
    i->id = p->ids[index];
    widen(i->title, p->knobs[index].name);
    widen(i->short_title, p->knobs[index].name);
    widen(i->units, p->knobs[index].unit);
    i->steps = parameters_steps(p, index);
    i->rest = parameters_turn(p, index, p->knobs[index].rest);
    i->flags = PARAM_AUTOMATES | (p->knobs[index].kind == KNOB_SWITCH ? PARAM_LIST : 0);
    return RESULT_OK;
}

/* The parameters and the index of one; the function returns `otherwise` where there is none. */
#define FIND(otherwise) \
    Vst3Amp *v = FROM(controller); \
    const Parameters *p = instance_parameters(v->instance); \
    const int32_t index = parameters_find(p, id); \
    if (index < 0) return otherwise

static Result to_text(void *self, uint32_t id, double turn, Text text) {
    FIND(INVALID_ARGUMENT);
    char narrow[TEXT_MOST];
    parameters_write(p, index, parameters_value(p, index, turn), 0, narrow, sizeof narrow);
    widen(text, narrow);
    return RESULT_OK;
}

static Result from_text(void *self, uint32_t id, const int16_t *text, double *turn) {
    FIND(INVALID_ARGUMENT);
    char narrow[TEXT_MOST] = {0};
    double value;
    for (int i = 0; text[i] && i < TEXT_MOST - 1; i++) narrow[i] = (char)(text[i] > 0 && text[i] < 128 ? text[i] : '?');
    if (!parameters_parse(p, index, narrow, &value)) return RESULT_FALSE;
    *turn = parameters_turn(p, index, value);
    return RESULT_OK;
}

static double to_plain(void *self, uint32_t id, double turn) {
    FIND(0);
    return parameters_value(p, index, turn);
}

static double to_turn(void *self, uint32_t id, double plain) {
    FIND(0);
    return parameters_turn(p, index, plain);
}

static double get(void *self, uint32_t id) {
    FIND(0);
    return parameters_turn(p, index, shown(v, index));
}

static Result set(void *self, uint32_t id, double turn) {
    FIND(INVALID_ARGUMENT);
    show(v, index, parameters_value(p, index, turn));
    return RESULT_OK;
}

static Result set_handler(void *self, void *handler) {
    (void)self, (void)handler;
    return RESULT_OK;
}

static void *view(void *self, const char *name) {
    (void)self, (void)name;
    return NULL;                                 /* hosts draw sliders */
}

static uint32_t requirements(void *self) {
    (void)self;
    return 0;
}

#define UNKNOWN_TABLE(field) {field##_query, field##_add, field##_release}

static const ComponentTable component_table = {
    UNKNOWN_TABLE(component), initialize, terminate, controller_id, io_mode, bus_count, bus_info, routing,
    activate_bus, set_active, component_set_state, component_get_state,
};
static const ProcessorTable processor_table = {
    UNKNOWN_TABLE(processor), set_arrangements, arrangement, can_process, latency, setup, set_processing, process, tail,
};
static const ControllerTable controller_table = {
    UNKNOWN_TABLE(controller), initialize, terminate, controller_set_component_state, controller_state,
    controller_state, count, info, to_text, from_text, to_plain, to_turn, get, set, set_handler, view,
};
static const RequirementsTable requirements_table = {UNKNOWN_TABLE(requirements), requirements};

Result vst3_create(Instance *instance, const char *interface, void **out) {
    Vst3Amp *v = calloc(1, sizeof *v);
    *out = NULL;
    if (!v) return instance_free(instance), RESULT_FALSE;
    v->component = &component_table;
    v->processor = &processor_table;
    v->controller = &controller_table;
    v->requirements = &requirements_table;
    v->instance = instance;
    v->inputs = v->outputs = INSTANCE_CHANNELS;
    atomic_init(&v->references, 1);
    for (int32_t i = 0; i < instance_parameters(instance)->count; i++)
        atomic_init(v->shown + i, instance_get(instance, i));
    const Result made = query_amp(v, interface, out);
    release_amp(v);
    return made;
}
