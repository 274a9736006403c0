/* Random sequences of calls for VST 3. */
#include <stdlib.h>
#include <string.h>

#include "catalog.h"
#include "hosts.h"
#include "vst3.h"

void *GetPluginFactory(void);
uint8_t ModuleEntry(void *library);
uint8_t ModuleExit(void);

static const Id COMPONENT = ID(0xE831FF31u, 0xF2D54301u, 0x928EBBEEu, 0x25697802u);
static const Id PROCESSOR = ID(0x42043F99u, 0xB7DA453Cu, 0xA569E79Du, 0x9AAEC33Du);
static const Id CONTROLLER = ID(0xDCD7BBE3u, 0x7742448Du, 0xA874AACCu, 0x979C759Eu);
static const Id NOTHING = ID(1u, 2u, 3u, 4u);

typedef struct { const ComponentTable *table; } Component;
typedef struct { const ProcessorTable *table; } Processor;
typedef struct { const ControllerTable *table; } Controller;
typedef struct { const FactoryTable *table; } Factory;

/* What the host gives to a block: turns of some knobs. */

enum { MOST_POINTS = 16, MOST_KNOBS = 40 };

typedef struct {
    PointQueue queue;
    uint32_t id;
    int32_t count, offsets[MOST_POINTS];
    double turns[MOST_POINTS];
} HostQueue;

typedef struct { Changes changes; HostQueue queues[MOST_KNOBS]; int32_t count; } HostChanges;

static uint32_t queue_parameter(PointQueue *q) { return ((HostQueue *)q)->id; }

static int32_t queue_count(PointQueue *q) { return ((HostQueue *)q)->count; }

static Result queue_point(PointQueue *q, int32_t index, int32_t *offset, double *turn) {
    const HostQueue *h = (HostQueue *)q;
    if (index < 0 || index >= h->count) fail("a point that there is not");
    *offset = h->offsets[index];
    *turn = h->turns[index];
    return RESULT_OK;
}

static int32_t changes_count(Changes *c) { return ((HostChanges *)c)->count; }

static PointQueue *changes_queue(Changes *c, int32_t index) {
    if (index < 0 || index >= ((HostChanges *)c)->count) fail("a queue that there is not");
    return &((HostChanges *)c)->queues[index].queue;
}

static void draw_changes(HostChanges *c, Controller *controller, int32_t samples) {
    static const struct PointQueueTable queue_table = {
        .parameter = queue_parameter, .count = queue_count, .point = queue_point,
    };
    static const struct ChangesTable changes_table = {.count = changes_count, .queue = changes_queue};
    const int32_t knobs = controller->table->count(controller);
    c->changes.table = &changes_table;
    c->count = (int32_t)draw(draw(8) ? 4 : MOST_KNOBS);
    for (HostQueue *q = c->queues; q < c->queues + c->count; q++) {
        ParameterInfo info = {.id = draw(1000)};
        if (knobs && draw(8)) controller->table->info(controller, (int32_t)draw((uint32_t)knobs), &info);
        q->queue.table = &queue_table;
        q->id = info.id;
        q->count = (int32_t)draw(MOST_POINTS);
        for (int32_t i = 0, at = 0; i < q->count; i++) {
            at += (int32_t)draw((uint32_t)samples / 8 + 2);
            q->offsets[i] = at;
            q->turns[i] = draw_number();
        }
    }
}

static void play(Component *component, Processor *processor, Controller *controller, int active) {
    static HostChanges changes;
    BusInfo info[2];
    Sound s;
    for (int d = 0; d < 2; d++) component->table->bus_info(component, IS_AUDIO, d, 0, info + d);
    make_sound(&s, draw_samples(), info[0].channels, info[1].channels);
    draw_changes(&changes, controller, s.samples);
    BusBuffers in = {info[0].channels, 0, s.x}, out = {info[1].channels, 0, s.y};
    ProcessData data = {
        .samples = s.samples, .input_count = 1, .output_count = 1, .inputs = &in, .outputs = &out,
        .changes = draw(4) ? &changes.changes : NULL,
    };
    if (!active || draw(10) == 0) {              /* knobs alone */
        data.samples = data.input_count = data.output_count = 0;
        data.inputs = data.outputs = NULL;
    }
    begin_playing();
    const Result result = processor->table->process(processor, &data);
    end_playing();
    if (result != RESULT_OK) fail("VST 3 did not play");
    if (!data.samples)
        for (int c = 0; c < 2; c++)
            for (int32_t t = 0; t < s.samples && s.y[c]; t++) s.y[c][t] = 0;
    check_sound(&s);
}

/* State. */

typedef struct { Stream stream; unsigned char bytes[STATE_MOST]; int32_t size, done; } HostStream;

static Result stream_read(Stream *stream, void *bytes, int32_t size, int32_t *done) {
    HostStream *s = (HostStream *)stream;
    const int32_t left = s->size - s->done;
    *done = left < size ? left : size;
    memcpy(bytes, s->bytes + s->done, (size_t)*done);
    s->done += *done;
    return RESULT_OK;
}

static Result stream_write(Stream *stream, const void *bytes, int32_t size, int32_t *done) {
    HostStream *s = (HostStream *)stream;
    if (s->done + size > STATE_MOST) fail("a state that is too long");
    memcpy(s->bytes + s->done, bytes, (size_t)size);
    *done = size;
    s->done += size;
    return RESULT_OK;
}

static void store(Component *component, Controller *controller) {
    static const struct StreamTable table = {.read = stream_read, .write = stream_write};
    static HostStream kept = {.stream = {&table}}, given = {.stream = {&table}};
    if (draw(2)) {
        kept.done = 0;
        component->table->get_state(component, &kept.stream);
        kept.size = kept.done;
        return;
    }
    given.size = (int32_t)draw_state(kept.bytes, (size_t)kept.size, given.bytes);
    given.done = 0;
    component->table->set_state(component, &given.stream);
    given.done = 0;
    controller->table->component_state(controller, &given.stream);
}

static void read_knobs(Controller *controller) {
    ParameterInfo info;
    Text text;
    double turn = 0;
    for (int32_t i = 0; controller->table->info(controller, i, &info) == RESULT_OK; i++) {
        controller->table->set(controller, info.id, draw_number());
        if (controller->table->to_text(controller, info.id, draw_number(), text) != RESULT_OK) fail("no text");
        for (uint32_t bent = draw(2) ? 0 : draw(6); bent > 0; bent--) text[draw(8)] = (int16_t)draw(65536);
        controller->table->from_text(controller, info.id, text, &turn);
        controller->table->to_plain(controller, info.id, draw_number());
        controller->table->to_turn(controller, info.id, draw_number());
        turn = controller->table->get(controller, info.id);
        if (!(turn >= 0 && turn <= 1)) fail("a turn out of range");
    }
    controller->table->to_text(controller, 12345, 0, text);
}

static void arrange(Processor *processor) {
    static const uint64_t all[] = {ARRANGED_MONO, ARRANGED_STEREO, 0, 63};
    const uint64_t in = all[draw(4)], out = all[draw(4)];
    processor->table->set_arrangements(processor, &in, 1, &out, (int32_t)draw(2));
    processor->table->set_arrangements(processor, &in, 1, &out, 1);
}

static int activate(Component *component, Processor *processor) {
    const ProcessSetup setup = {0, (int32_t)(draw(8) == 0), 8192, draw_rate()};
    processor->table->setup(processor, &setup);
    processor->table->latency(processor);
    if (component->table->set_active(component, 1) != RESULT_OK) fail("VST 3 is not active");
    return processor->table->set_processing(processor, 1) == RESULT_OK;
}

void vst3_sequence(void) {
    ModuleEntry(NULL);
    Factory *factory = GetPluginFactory();
    Component *component;
    Processor *processor;
    Controller *controller;
    void *none;
    ClassInfo2 info;
    factory->table->class_info_2(factory, (int32_t)draw((uint32_t)factory->table->count(factory)), &info);
    if (factory->table->create(factory, info.id, COMPONENT, (void **)&component) != RESULT_OK) fail("no VST 3");
    component->table->unknown.query(component, PROCESSOR, (void **)&processor);
    processor->table->unknown.query(processor, CONTROLLER, (void **)&controller);
    if (component->table->unknown.query(component, NOTHING, &none) != NO_INTERFACE || none) fail("an odd interface");
    component->table->initialize(component, NULL);
    int active = 0;
    for (uint32_t steps = 4 + draw(30); steps > 0; steps--)
        switch (draw(9)) {
        case 0: read_knobs(controller); break;
        case 1: store(component, controller); break;
        case 2: arrange(processor); break;
        case 3:
            if (active) processor->table->set_processing(processor, 0), component->table->set_active(component, 0);
            active = active ? 0 : activate(component, processor);
            break;
        case 4: processor->table->tail(processor); break;
        default: play(component, processor, controller, active);
        }
    component->table->terminate(component);
    controller->table->unknown.release(controller);
    processor->table->unknown.release(processor);
    if (component->table->unknown.release(component)) fail("a reference is left");
    ModuleExit();
}
