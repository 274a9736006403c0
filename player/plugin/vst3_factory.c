/* The VST 3 plugins of this library: a factory of one class per amp of the catalog, never freed. */
#include <string.h>

#include "catalog.h"
#include "plugin.h"
#include "vst3.h"

static const Id UNKNOWN = ID(0x00000000u, 0x00000000u, 0xC0000000u, 0x00000046u);
static const Id FACTORY = ID(0x7A4D811Cu, 0x52114A1Fu, 0xAED9D2EEu, 0x0B43BF9Fu);
static const Id FACTORY_2 = ID(0x0007B650u, 0xF24B4C0Bu, 0xA464EDB9u, 0xF00B2ABBu);

static Result factory_query(void *self, const Id id, void **out) {
    *out = same_id(id, UNKNOWN) || same_id(id, FACTORY) || same_id(id, FACTORY_2) ? self : NULL;
    return *out ? RESULT_OK : NO_INTERFACE;
}

static uint32_t factory_reference(void *self) {
    (void)self;
    return 1;
}

static Result factory_info(void *self, FactoryInfo *info_of) {
    (void)self;
    memset(info_of, 0, sizeof *info_of);
    strcpy(info_of->vendor, PLUGIN_VENDOR);
    info_of->flags = FACTORY_UNICODE;
    return RESULT_OK;
}

static int32_t factory_count(void *self) {
    (void)self;
    return catalog_count();
}

/* The same class has the same identifier on all systems, as hosts write it; its bytes are turned on Windows. */
static void class_id(const unsigned char *identity, Id id) {
    uint32_t n[4];
    for (int i = 0; i < 4; i++)
        n[i] = (uint32_t)identity[4 * i] << 24 | (uint32_t)identity[4 * i + 1] << 16
            | (uint32_t)identity[4 * i + 2] << 8 | identity[4 * i + 3];
    const Id made = ID(n[0], n[1], n[2], n[3]);
    memcpy(id, made, sizeof(Id));
}

static Result factory_class_2(void *self, int32_t index, ClassInfo2 *c) {
    (void)self;
    const CatalogAmp *amp = catalog_at(index);
    if (!amp) return INVALID_ARGUMENT;
    memset(c, 0, sizeof *c);
    class_id(amp->identity, c->id);
    c->cardinality = MANY_INSTANCES;
    strcpy(c->category, "Audio Module Class");
    strncpy(c->name, amp->name, sizeof c->name - 1);
    strcpy(c->subcategories, "Fx|Distortion");
    strcpy(c->vendor, PLUGIN_VENDOR);
    strcpy(c->version, PLUGIN_VERSION);
    strcpy(c->sdk, "VST 3.7.0");
    return RESULT_OK;
}

static Result factory_class(void *self, int32_t index, ClassInfo *c) {
    ClassInfo2 full;
    if (factory_class_2(self, index, &full) != RESULT_OK) return INVALID_ARGUMENT;
    memcpy(c, &full, sizeof *c);                 /* the second begins as the first */
    return RESULT_OK;
}

static const CatalogAmp *amp_of_class(const char *id) {
    for (int32_t i = 0; i < catalog_count(); i++) {
        Id found;
        class_id(catalog_at(i)->identity, found);
        if (same_id(id, found)) return catalog_at(i);
    }
    return NULL;
}

static Result factory_create(void *self, const char *id, const char *interface, void **out) {
    (void)self;
    *out = NULL;
    const CatalogAmp *amp = amp_of_class(id);
    size_t size;
    unsigned char *bytes = amp ? catalog_read(amp, &size) : NULL;
    Instance *instance = bytes ? instance_new(bytes, size) : NULL;
    return instance ? vst3_create(instance, interface, out) : RESULT_FALSE;
}

PLUGIN_EXPORT void *GetPluginFactory(void) {
    static const FactoryTable table = {
        {factory_query, factory_reference, factory_reference}, factory_info, factory_count, factory_class,
        factory_create, factory_class_2,
    };
    static const FactoryTable *factory = &table;
    return &factory;
}

/* Hosts call one of these when they load the library, and its twin before they let go of it. */
#if defined(_WIN32)
PLUGIN_EXPORT uint8_t InitDll(void) { return catalog_open(), 1; }
PLUGIN_EXPORT uint8_t ExitDll(void) { return catalog_close(), 1; }
#elif defined(__APPLE__)
PLUGIN_EXPORT uint8_t bundleEntry(void *bundle) { return (void)bundle, catalog_open(), 1; }
PLUGIN_EXPORT uint8_t bundleExit(void) { return catalog_close(), 1; }
#else
PLUGIN_EXPORT uint8_t ModuleEntry(void *library) { return (void)library, catalog_open(), 1; }
PLUGIN_EXPORT uint8_t ModuleExit(void) { return catalog_close(), 1; }
#endif
