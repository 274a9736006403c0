/* What all plugins of this library say of themselves. */
#ifndef AMPZOO_PLUGIN_H
#define AMPZOO_PLUGIN_H

#define PLUGIN_VENDOR "ampzoo"
#define PLUGIN_VERSION "1.0.0"
#define PLUGIN_DESCRIPTION "A model of an amp whose knobs turn live"

#if defined(_WIN32)
#define PLUGIN_EXPORT __declspec(dllexport)
#else
#define PLUGIN_EXPORT __attribute__((visibility("default")))
#endif

#endif
