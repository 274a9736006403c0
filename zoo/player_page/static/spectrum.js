// A spectrum that moves with the knob: what is heard now, and a shadow of it from when the knob was taken.

const LOW = 40, HIGH = 18_000, FLOOR = -108, TOP = -18; // Hz, dB

export class Spectrum {
  constructor(canvas) {
    this.canvas = canvas;
    this.bands = null;
    this.shadow = null;
  }

  /** Take the state of an AnalyserNode: the mean of each of many narrow bands, smoothed over time. */
  take(analyser) {
    const bins = new Float32Array(analyser.frequencyBinCount);
    analyser.getFloatFrequencyData(bins);
    const step = analyser.context.sampleRate / analyser.fftSize, count = 120, found = new Float32Array(count);
    for (let band = 0; band < count; band++) {
      const edge = (n) => (LOW * (HIGH / LOW) ** (n / count)) / step;
      const begin = Math.floor(edge(band)), end = Math.max(begin + 1, Math.ceil(edge(band + 1)));
      let sum = 0;
      for (let bin = begin; bin < end && bin < bins.length; bin++) sum += 10 ** (bins[bin] / 10);
      found[band] = Math.max(FLOOR, 10 * Math.log10(sum / (end - begin) + 1e-12));
    }
    this.bands = this.bands ? this.bands.map((old, n) => old + 0.45 * (found[n] - old)) : found;
  }

  /** Keep the present spectrum as a shadow, to compare with while a knob turns. */
  hold(held) {
    if (held && this.bands) this.shadow = this.bands.slice();
    this.holding = held;
  }

  draw() {
    const { canvas } = this, ratio = window.devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width) return;
    if (canvas.width !== Math.round(width * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const style = getComputedStyle(canvas), pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    this.#grid(pen, width, height, style);
    const curve = (bands) => {
      pen.beginPath();
      bands.forEach((level, n) => {
        const x = (n / (bands.length - 1)) * width, y = height - 16 - ((level - FLOOR) / (TOP - FLOOR)) * (height - 22);
        pen.lineTo(x, Math.min(height - 16, y));
      });
    };
    if (this.shadow) {
      curve(this.shadow);
      pen.strokeStyle = style.getPropertyValue("--muted");
      pen.setLineDash([4, 4]);
      pen.lineWidth = 1.2;
      pen.stroke();
      pen.setLineDash([]);
    }
    if (!this.bands) {
      pen.fillStyle = style.getPropertyValue("--muted");
      pen.textAlign = "center";
      pen.font = "14px system-ui, sans-serif";
      pen.fillText("Play, and turn a knob", width / 2, height / 2);
      pen.textAlign = "start";
      return;
    }
    curve(this.bands);
    pen.strokeStyle = style.getPropertyValue("--glow");
    pen.lineWidth = 2;
    pen.lineJoin = "round";
    pen.stroke();
    pen.lineTo(width, height - 16);
    pen.lineTo(0, height - 16);
    pen.globalAlpha = 0.16;
    pen.fillStyle = style.getPropertyValue("--glow");
    pen.fill();
    pen.globalAlpha = 1;
  }

  #grid(pen, width, height, style) {
    pen.font = "11px system-ui, sans-serif";
    pen.fillStyle = style.getPropertyValue("--muted");
    pen.strokeStyle = style.getPropertyValue("--line");
    pen.lineWidth = 1;
    for (const [hertz, name] of [[100, "100"], [300, "300"], [1000, "1 kHz"], [3000, "3"], [10_000, "10"]]) {
      const x = Math.round((Math.log(hertz / LOW) / Math.log(HIGH / LOW)) * width) + 0.5;
      pen.beginPath();
      pen.moveTo(x, 4);
      pen.lineTo(x, height - 16);
      pen.stroke();
      pen.fillText(name, Math.min(x - 8, width - 20), height - 3);
    }
  }
}
