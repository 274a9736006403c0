/* Random sequences of calls for LV2. */
#include <stdlib.h>
#include <string.h>

#include "hosts.h"
#include "lv2.h"

enum { KNOBS = 4 };                              /* ports of knobs that are connected; others may not be */

const Lv2Descriptor *lv2_descriptor(uint32_t index);

void lv2_sequence(void) {
    uint32_t plugins = 0;
    while (lv2_descriptor(plugins)) plugins++;
    const uint32_t index = draw(plugins), channels = 1 + index % 2;
    const Lv2Descriptor *d = lv2_descriptor(index);
    void *amp = d->instantiate(d, draw_rate(), "", NULL);
    if (!amp) return;                            /* a rate that is none */
    float latency, knobs[KNOBS] = {0};
    const uint32_t first = 2 * channels + 1;
    d->connect_port(amp, first - 1, &latency);
    for (uint32_t i = 0; i < KNOBS; i++) d->connect_port(amp, first + i, knobs + i);
    d->connect_port(amp, 1000, knobs);
    d->activate(amp);
    for (uint32_t steps = 2 + draw(20); steps > 0; steps--) {
        Sound s;
        make_sound(&s, draw_samples(), (int32_t)channels, (int32_t)channels);
        for (uint32_t c = 0; c < channels; c++) {
            d->connect_port(amp, c, s.x[c]);
            d->connect_port(amp, channels + c, s.y[c]);
        }
        if (draw(2)) knobs[draw(KNOBS)] = (float)(20 * draw_number() - 10);
        begin_playing();
        d->run(amp, (uint32_t)s.samples);
        end_playing();
        check_sound(&s);
        if (draw(10) == 0) d->deactivate(amp), d->activate(amp);
    }
    d->deactivate(amp);
    d->cleanup(amp);
}
