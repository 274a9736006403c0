/* A small CLAP host for systems that Python does not run on here: in an emulator, it loads a file and plays a signal.
 *
 *     PROGRAM FILE.clap IN.f32 OUT.f32 RATE VALUE...
 *
 * The signal is mono, in float32; the values are those of the knobs, in their order.
 */
#include <stdio.h>
#include <stdlib.h>

#include "clap.h"

#if defined(_WIN32)
#include <windows.h>

static const ClapEntry *load(const char *path) {
    const HMODULE library = LoadLibraryA(path);
    return library ? (const ClapEntry *)(void *)GetProcAddress(library, "clap_entry") : NULL;
}
#else
#include <dlfcn.h>

static const ClapEntry *load(const char *path) {
    void *library = dlopen(path, RTLD_NOW);
    return library ? dlsym(library, "clap_entry") : NULL;
}
#endif

enum { BLOCK = 64, MOST_KNOBS = 32 };

static ClapParamEvent turns[MOST_KNOBS];
static uint32_t turn_count;

static uint32_t turns_size(const ClapEvents *list) { return (void)list, turn_count; }

static const ClapEvent *turns_get(const ClapEvents *list, uint32_t index) { return (void)list, &turns[index].event; }

static const void *host_extension(const ClapHost *host, const char *id) { return (void)host, (void)id, NULL; }

static int play(const ClapPlugin *plugin, const char *from, const char *to, const ClapEvents *events) {
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    float x[BLOCK], y[BLOCK], *inputs[1] = {x}, *outputs[1] = {y};
    if (!in || !out) return 0;
    for (size_t count; (count = fread(x, sizeof *x, BLOCK, in)) > 0; fwrite(y, sizeof *y, count, out)) {
        const ClapBuffer input = {inputs, NULL, 1, 0, 0};
        ClapBuffer output = {outputs, NULL, 1, 0, 0};
        const ClapProcess process = {-1, (uint32_t)count, NULL, &input, &output, 1, 1, events, NULL};
        if (plugin->process(plugin, &process) != PROCESS_CONTINUE) return 0;
    }
    fclose(in);
    return !fclose(out);
}

int main(int count, char **words) {
    static const ClapHost host = {.version = {1, 2, 0}, .get_extension = host_extension};
    if (count < 5) return 2;
    const ClapEntry *entry = load(words[1]);
    if (!entry || !entry->init(words[1])) return fprintf(stderr, "%s does not load\n", words[1]), 3;
    const ClapFactory *factory = entry->get_factory("clap.plugin-factory");
    const ClapDescriptor *d = factory->descriptor(factory, 0);
    const ClapPlugin *plugin = d ? factory->create(factory, &host, d->id) : NULL;
    if (!plugin || !plugin->init(plugin)) return fprintf(stderr, "%s makes no plugin\n", words[1]), 4;
    const ClapPortsConfigs *layouts = plugin->get_extension(plugin, "clap.audio-ports-config");
    const ClapParams *params = plugin->get_extension(plugin, "clap.params");
    layouts->select(plugin, 1);
    for (uint32_t i = 0; i < params->count(plugin) && (int)i + 5 < count; i++) {
        ClapParamInfo info;
        params->get_info(plugin, i, &info);
        const ClapEvent event = {sizeof *turns, 0, EVENT_CORE_SPACE, EVENT_PARAM_VALUE, 0};
        turns[turn_count++] = (ClapParamEvent){event, info.id, NULL, -1, -1, -1, -1, atof(words[5 + i])};
    }
    const ClapEvents events = {NULL, turns_size, turns_get};
    params->flush(plugin, &events, NULL);
    turn_count = 0;
    if (!plugin->activate(plugin, atof(words[4]), 1, BLOCK) || !plugin->start_processing(plugin)) return 5;
    const int played = play(plugin, words[2], words[3], &events);
    plugin->stop_processing(plugin);
    plugin->deactivate(plugin);
    plugin->destroy(plugin);
    printf("%s %s\n", d->id, d->name);
    entry->deinit();
    return played ? 0 : 6;
}
