/* Hosts that do what comes to their minds: random sequences of calls, in the order that each format allows.
 *
 *     PROGRAM COUNT SEED
 *
 * It is linked with the plugins, and plays the amps that it finds as a library would (catalog.h). It prints how many
 * samples were played. It ends with an error where a plugin gives a sample that is not finite, or takes or frees memory
 * while it plays: link with -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free, and with the sanitizers.
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalog.h"
#include "clap.h"
#include "hosts.h"
#include "parameters.h"

extern const ClapEntry clap_entry;

/* Chance. */

static uint64_t random_state;

uint32_t draw(uint32_t below) {                  /* xorshift64* */
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (uint32_t)((random_state * 0x2545F4914F6CDD1Dull) >> 32) % below;
}

double draw_number(void) {
    static const double odd[] = {0, 1, -1, 0.5, 2, 10, 1e-30, 1e300, -1e300, INFINITY, -INFINITY, NAN};
    return draw(4) ? draw(1000001) / 1e6 : odd[draw(sizeof odd / sizeof *odd)];
}

double draw_rate(void) {
    static const double rates[] = {44100, 48000, 88200, 96000, 192000, 32000, 22050, 384000, 8000, 44101, 47999.5};
    static const double odd[] = {0, -48000, 1, 7999, 1e12, INFINITY, NAN, 12345.678, 768000};
    return draw(6) ? rates[draw(sizeof rates / sizeof *rates)] : odd[draw(sizeof odd / sizeof *odd)];
}

int32_t draw_samples(void) {
    static const int32_t usual[] = {0, 1, 16, 64, 128, 256, 480, 512, 1024, 8192};
    return draw(2) ? usual[draw(draw(8) ? 8 : 10)] : (int32_t)draw(600);
}

/* Memory: none may be taken or freed while a plugin plays. */

static int playing;

void begin_playing(void) { playing = 1; }
void end_playing(void) { playing = 0; }

void fail(const char *what) {
    playing = 0;
    fprintf(stderr, "%s\n", what);
    abort();
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);

void *__wrap_malloc(size_t size) {
    if (playing) fail("malloc while playing");
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size) {
    if (playing) fail("calloc while playing");
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size) {
    if (playing) fail("realloc while playing");
    return __real_realloc(memory, size);
}

void __wrap_free(void *memory) {
    if (playing) fail("free while playing");
    __real_free(memory);
}

/* Sound. Each buffer is of its own size, so that a sanitizer sees its end. */

static int64_t played;

void make_sound(Sound *s, int32_t samples, int32_t inputs, int32_t outputs) {
    static const float odd[] = {0, 1e-40f, 1e-16f, 1e30f, 1e7f, INFINITY, -INFINITY, NAN};
    const uint32_t kind = draw(8);
    s->samples = samples;
    s->in_place = draw(3) == 0;
    for (int c = 0; c < 2; c++) {
        s->y[c] = c < outputs ? malloc(4 * (size_t)samples + 1) : NULL;
        s->x[c] = c >= inputs ? NULL : s->in_place && s->y[c] ? s->y[c] : malloc(4 * (size_t)samples + 1);
        for (int32_t t = 0; t < samples && s->y[c]; t++) s->y[c][t] = NAN;
        for (int32_t t = 0; t < samples && s->x[c]; t++)
            s->x[c][t] = kind ? ((float)draw(2001) - 1000) / 1000 : odd[draw(8)];
    }
}

void check_sound(Sound *s) {
    for (int c = 0; c < 2; c++) {
        for (int32_t t = 0; t < s->samples && s->y[c]; t++)
            if (!isfinite(s->y[c][t])) fail("a sample is not finite");
        if (s->x[c] != s->y[c]) free(s->x[c]);
        free(s->y[c]);
    }
    played += s->samples;
}

/* A state of before, the same with some bytes changed, or none at all. */
size_t draw_state(const unsigned char *saved, size_t size, unsigned char bytes[STATE_MOST]) {
    memcpy(bytes, saved, STATE_MOST);
    for (uint32_t i = draw(3) ? 0 : draw(20); i > 0; i--) bytes[draw(STATE_MOST)] = (unsigned char)draw(256);
    return draw(3) ? size : draw(STATE_MOST);
}

/* CLAP. */

typedef struct { ClapParamEvent events[64]; uint32_t count; } Turns;

static uint32_t turns_size(const ClapEvents *list) { return ((Turns *)list->context)->count; }

static const ClapEvent *turns_get(const ClapEvents *list, uint32_t index) {
    Turns *turns = list->context;
    if (index >= turns->count) fail("an event that there is not");
    return &turns->events[index].event;
}

static void draw_turns(const ClapPlugin *plugin, const ClapParams *params, Turns *turns, int32_t samples) {
    turns->count = draw(4) ? draw(6) : draw(64);
    uint32_t at = 0;
    for (uint32_t i = 0; i < turns->count; i++) {
        ClapParamInfo info = {.id = draw(1000)};
        const uint32_t knobs = params->count(plugin);
        if (knobs && draw(8)) params->get_info(plugin, draw(knobs), &info);
        at += draw((uint32_t)samples / 4 + 2);
        turns->events[i] = (ClapParamEvent){
            {sizeof(ClapParamEvent), at, draw(16) ? 0 : 1, draw(8) ? EVENT_PARAM_VALUE : (uint16_t)draw(14), 0},
            info.id, NULL, -1, -1, -1, -1, draw(2) ? info.min + draw_number() * (info.max - info.min) : draw_number(),
        };
    }
}

static void play_clap(const ClapPlugin *plugin, uint32_t channels) {
    static Turns turns;
    const ClapParams *params = plugin->get_extension(plugin, "clap.params");
    Sound s;
    make_sound(&s, draw_samples(), (int32_t)channels, (int32_t)channels);
    draw_turns(plugin, params, &turns, s.samples);
    const ClapEvents events = {&turns, turns_size, turns_get};
    const ClapBuffer in = {s.x, NULL, channels, 0, 0};
    ClapBuffer out = {s.y, NULL, channels, 0, 0};
    const ClapProcess process = {-1, (uint32_t)s.samples, NULL, &in, &out, 1, 1, draw(8) ? &events : NULL, NULL};
    begin_playing();
    const int32_t status = plugin->process(plugin, &process);
    end_playing();
    if (status != PROCESS_CONTINUE) fail("CLAP did not play");
    check_sound(&s);
}

static struct { unsigned char bytes[STATE_MOST]; size_t size, done; } store;

static int64_t store_write(const ClapOutStream *stream, const void *bytes, uint64_t size) {
    (void)stream;
    const size_t part = size > 100 ? 1 + draw(100) : size;
    if (store.done + part > STATE_MOST) fail("a state that is too long");
    memcpy(store.bytes + store.done, bytes, part);
    store.done += part;
    return (int64_t)part;
}

static int64_t store_read(const ClapInStream *stream, void *bytes, uint64_t size) {
    (void)stream;
    size_t part = store.size - store.done < size ? store.size - store.done : size;
    if (part > 1) part = 1 + draw((uint32_t)part);
    memcpy(bytes, store.bytes + store.done, part);
    store.done += part;
    return draw(50) ? (int64_t)part : -1;
}

static void store_clap(const ClapPlugin *plugin) {
    static unsigned char kept[STATE_MOST];
    static size_t size;
    const ClapState *state = plugin->get_extension(plugin, "clap.state");
    const ClapOutStream out = {NULL, store_write};
    const ClapInStream in = {NULL, store_read};
    store.done = 0;
    if (draw(2)) {
        state->save(plugin, &out);
        memcpy(kept, store.bytes, STATE_MOST);
        size = store.done;
    } else {
        store.size = draw_state(kept, size, store.bytes);
        state->load(plugin, &in);
    }
}

static void read_clap(const ClapPlugin *plugin) {
    const ClapParams *params = plugin->get_extension(plugin, "clap.params");
    ClapParamInfo info;
    double value;
    for (uint32_t i = 0; params->get_info(plugin, i, &info); i++) {
        const uint32_t room = 1 + draw(40);
        char *text = malloc(room);
        params->value_to_text(plugin, info.id, draw_number(), text, room);
        params->text_to_value(plugin, info.id, text, &value);
        params->get_value(plugin, info.id, &value);
        if (!(value >= info.min && value <= info.max)) fail("a value out of range");
        free(text);
    }
}

static const void *host_extension(const ClapHost *host, const char *id) {
    (void)host, (void)id;
    return NULL;
}

static void clap_sequence(void) {
    static const ClapHost host = {.version = {1, 2, 0}, .get_extension = host_extension};
    const ClapFactory *factory = clap_entry.get_factory("clap.plugin-factory");
    const ClapDescriptor *d = factory->descriptor(factory, draw(factory->count(factory)));
    const ClapPlugin *plugin = factory->create(factory, &host, d->id);
    if (!plugin || !plugin->init(plugin)) fail("CLAP made no plugin");
    const ClapPortsConfigs *layouts = plugin->get_extension(plugin, "clap.audio-ports-config");
    const ClapPorts *ports = plugin->get_extension(plugin, "clap.audio-ports");
    const ClapLatency *latency = plugin->get_extension(plugin, "clap.latency");
    int active = 0;
    for (uint32_t steps = 4 + draw(30); steps > 0; steps--) {
        ClapPortInfo port;
        ports->get(plugin, 0, true, &port);
        switch (draw(active ? 8 : 5)) {
        case 0: read_clap(plugin); break;
        case 1: store_clap(plugin); break;
        case 2: layouts->select(plugin, draw(4)); break;
        case 3:
        case 4:
            if (active) plugin->stop_processing(plugin), plugin->deactivate(plugin), active = 0;
            else active = plugin->activate(plugin, draw_rate(), 1, 8192) && plugin->start_processing(plugin);
            latency->get(plugin);
            break;
        case 5: plugin->reset(plugin); break;
        default: play_clap(plugin, port.channels);
        }
    }
    if (active) plugin->stop_processing(plugin), plugin->deactivate(plugin);
    plugin->destroy(plugin);
}

int main(int count, char **words) {
    if (count != 3) return fprintf(stderr, "usage: %s COUNT SEED\n", words[0]), 2;
    random_state = 88172645463325252ull + strtoull(words[2], NULL, 10);
    const long total = atol(words[1]);
    for (long n = 0; n < total; n++) {
        clap_entry.init(words[0]);
        if (!catalog_count()) return fprintf(stderr, "there is no amp beside the program\n"), 2;
        switch (draw(3)) {
        case 0: clap_sequence(); break;
        case 1: vst3_sequence(); break;
        default: lv2_sequence();
        }
        clap_entry.deinit();
    }
    printf("%ld sequences, %lld samples\n", total, (long long)played);
    return 0;
}
