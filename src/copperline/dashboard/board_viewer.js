// The board's viewer: pictures and boxes in one SVG, whose viewBox is what is seen. Zoom and pan stay in the browser,
// and survive every run of the page while `revision` stays the same. `board_viewer.py` says what `data` holds.
// Texts and colours may be another's: they are set as text and attributes, never as markup.

const SVG = "http://www.w3.org/2000/svg";
const LEAST = 12; // px of the board that can be seen at least
const STEP = 1.4; // of the zoom buttons and keys

// Streamlit builds the page's elements anew when their order changes: what was seen last outlives the viewer.
const last = { revision: null, seen: null, share: 0.5 };

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".board");
  root.viewer ??= new Viewer(root);
  root.viewer.tell = setStateValue;
  root.viewer.draw(data);
}

class Viewer {
  constructor(root) {
    this.root = root;
    this.stage = root.querySelector(".stage");
    this.svg = root.querySelector("svg");
    this.tags = root.querySelector(".tags");
    this.wipe = root.querySelector("input");
    this.wipe.value = 100 * last.share;
    this.listen();
  }

  listen() {
    const buttons = {
      in: () => this.zoom(1 / STEP),
      out: () => this.zoom(STEP),
      whole: () => this.whole(),
      mark: () => this.setMarking(!this.marking),
    };
    for (const button of this.root.querySelectorAll("button")) button.onclick = buttons[button.name];
    this.stage.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoom(Math.exp(Math.max(-0.5, Math.min(0.5, event.deltaY * 0.002))), this.point(event));
      },
      { passive: false },
    );
    this.stage.onpointerdown = (event) => {
      this.grip = this.point(event);
      this.stage.setPointerCapture(event.pointerId);
    };
    this.stage.onpointermove = (event) => {
      if (!this.grip) return;
      const at = this.point(event);
      if (this.marking) this.outline(this.spanned(at));
      else this.move(this.grip.x - at.x, this.grip.y - at.y);
    };
    this.stage.onpointerup = (event) => {
      if (this.grip && this.marking) this.mark(this.spanned(this.point(event)));
      this.grip = null;
    };
    this.stage.onpointercancel = () => (this.grip = null);
    this.stage.ondblclick = () => this.whole();
    this.stage.onkeydown = (event) => {
      const step = last.seen.w / 8;
      const keys = {
        "+": () => this.zoom(1 / STEP),
        "-": () => this.zoom(STEP),
        0: () => this.whole(),
        ArrowLeft: () => this.move(-step, 0),
        ArrowRight: () => this.move(step, 0),
        ArrowUp: () => this.move(0, -step),
        ArrowDown: () => this.move(0, step),
      };
      if (!(event.key in keys)) return;
      event.preventDefault();
      keys[event.key]();
    };
    this.wipe.oninput = () => {
      last.share = this.wipe.value / 100;
      this.place();
    };
    new ResizeObserver(() => last.seen && this.place()).observe(this.stage);
  }

  draw(data) {
    this.data = data;
    this.svg.setAttribute("aria-label", data.alt);
    this.svg.replaceChildren();
    this.tags.replaceChildren();
    const clip = element("clipPath", { id: "after" });
    this.cut = clip.appendChild(element("rect", { y: 0, height: data.height }));
    this.svg.append(clip);
    this.images = data.pictures.map((picture) => {
      const image = element("image", { ...picture, preserveAspectRatio: "none" });
      if (data.wipe && picture === data.pictures.at(-1)) image.setAttribute("clip-path", "url(#after)");
      return this.svg.appendChild(image);
    });
    this.line = element("line", { y1: 0, y2: data.height, class: "cut" });
    this.boxes = data.boxes.map((box) => this.box(box));
    if (data.wipe) this.svg.append(this.line);
    this.root.classList.toggle("wiping", data.wipe);
    if (data.markable !== this.root.classList.contains("markable")) this.setMarking(data.markable);
    this.root.classList.toggle("markable", data.markable);
    if (data.revision !== last.revision) {
      last.revision = data.revision;
      const [x1, y1, x2, y2] = data.window;
      last.seen = { x: x1, y: y1, w: x2 - x1, h: y2 - y1 };
    }
    this.place();
  }

  box(box) {
    const halo = this.svg.appendChild(element("rect", { class: "halo" }));
    const line = this.svg.appendChild(element("rect", { class: box.style, stroke: box.colour }));
    line.appendChild(element("title", {})).textContent = box.title;
    let tag = null;
    if (box.tag) {
      tag = this.tags.appendChild(document.createElement("span"));
      tag.textContent = box.tag;
      tag.style.background = box.colour;
      tag.style.color = box.ink;
    }
    return { ...box, parts: [halo, line], tag };
  }

  // While marking, a drag draws a box; else it moves the board. The wheel zooms in both.
  setMarking(on) {
    this.marking = on;
    this.root.classList.toggle("marking", on);
    this.root.querySelector("button[name=mark]").setAttribute("aria-pressed", on);
  }

  // From where the pointer went down to `at`, on the board.
  spanned(at) {
    const { width, height } = this.data;
    const [x1, x2] = [this.grip.x, at.x].map((x) => Math.min(Math.max(x, 0), width)).sort((a, b) => a - b);
    const [y1, y2] = [this.grip.y, at.y].map((y) => Math.min(Math.max(y, 0), height)).sort((a, b) => a - b);
    return [Math.floor(x1), Math.floor(y1), Math.ceil(x2), Math.ceil(y2)];
  }

  outline([x1, y1, x2, y2]) {
    this.rubber?.remove();
    this.rubber = this.svg.appendChild(element("rect", { class: "rubber", x: x1, y: y1, width: x2 - x1, height: y2 - y1 }));
  }

  // A click is no box.
  mark(box) {
    if (box[2] - box[0] > 1 && box[3] - box[1] > 1) this.tell("mark", box);
    else this.rubber?.remove();
  }

  // Everything that has a size on the screen and not on the board.
  place() {
    const { x, y, w, h } = last.seen;
    this.svg.setAttribute("viewBox", `${x} ${y} ${w} ${h}`);
    const { clientWidth, clientHeight } = this.stage;
    if (!clientWidth || !clientHeight) return; // on its way out
    const scale = Math.min(clientWidth / w, clientHeight / h); // screen px in one px of the board
    const left = (clientWidth - w * scale) / 2 - x * scale;
    const top = (clientHeight - h * scale) / 2 - y * scale;
    for (const image of this.images) image.classList.toggle("sharp", scale > 2);
    const cut = this.data.width * last.share;
    this.cut.setAttribute("x", cut);
    this.cut.setAttribute("width", Math.max(0, this.data.width - cut));
    this.line.setAttribute("x1", cut);
    this.line.setAttribute("x2", cut);
    for (const box of this.boxes) {
      const margin = box.margin / scale;
      const [x1, y1, x2, y2] = box.box;
      const place = { x: x1 - margin, y: y1 - margin, width: x2 - x1 + 2 * margin, height: y2 - y1 + 2 * margin };
      for (const part of box.parts) set(part, place);
      if (box.tag) {
        // Above the box, or below it at the upper edge; never beyond the right one while the box is seen.
        const start = left + place.x * scale;
        const from = start < clientWidth ? Math.min(start, clientWidth - box.tag.offsetWidth) : start;
        const above = top + place.y * scale - box.tag.offsetHeight - 3;
        const below = top + (place.y + place.height) * scale + 3;
        box.tag.style.transform = `translate(${from}px, ${above < 0 ? below : above}px)`;
      }
    }
  }

  point(event) {
    const at = new DOMPoint(event.clientX, event.clientY);
    return at.matrixTransform(this.svg.getScreenCTM().inverse());
  }

  zoom(factor, at = { x: last.seen.x + last.seen.w / 2, y: last.seen.y + last.seen.h / 2 }) {
    const { x, y, w, h } = last.seen;
    const most = 1.5 * Math.max(this.data.width / w, this.data.height / h);
    const by = Math.min(Math.max(factor, LEAST / Math.min(w, h)), Math.max(most, 1));
    last.seen = { x: at.x - (at.x - x) * by, y: at.y - (at.y - y) * by, w: w * by, h: h * by };
    this.move(0, 0);
  }

  // The middle of what is seen stays on the board.
  move(dx, dy) {
    const { x, y, w, h } = last.seen;
    const within = (start, size, end) => Math.min(Math.max(start, -size / 2), end - size / 2);
    last.seen = { x: within(x + dx, w, this.data.width), y: within(y + dy, h, this.data.height), w, h };
    this.place();
  }

  whole() {
    last.seen = { x: 0, y: 0, w: this.data.width, h: this.data.height };
    this.place();
  }
}

function element(name, attributes) {
  return set(document.createElementNS(SVG, name), attributes);
}

function set(target, attributes) {
  for (const [name, value] of Object.entries(attributes)) target.setAttribute(name, value);
  return target;
}
