/* Parallel coordinates of any number of runs, drawn with WebGL.

   What arrives is laid out in core/charts/parallel.py (`Lines.payload`). Texts from outside are put
   into the page as text alone: textContent, never markup. What a person marks on the axes goes back
   as [[axis, low, high], …] in heights of the axes: 0 is an axis's lowest value, 1 its highest. */

const VERTEX = `#version 300 es
in vec2 corner;          // along the line from 0 to 1, across it from -1 to 1
in float from, to, tint, on;
uniform vec2 size;       // of the canvas, pixels
uniform vec2 gap;        // x of the two axes, pixels
uniform vec2 span;       // lowest and highest height that is drawn
uniform vec2 edge;       // y of these, pixels from the top
uniform float width, wanted;
out float across, at;
float y(float height) { return mix(edge.x, edge.y, (height - span.x) / (span.y - span.x)); }
void main() {
  across = corner.y * (width * 0.5 + 1.0);
  at = tint;
  vec2 a = vec2(gap.x, y(from)), b = vec2(gap.y, y(to));
  vec2 along = normalize(b - a);
  vec2 place = mix(a, b, corner.x) + vec2(-along.y, along.x) * across;
  vec2 clip = place / size * 2.0 - 1.0;
  gl_Position = on == wanted ? vec4(clip.x, -clip.y, 0.0, 1.0) : vec4(2.0, 2.0, 2.0, 1.0);
}`

const FRAGMENT = `#version 300 es
precision highp float;
in float across, at;
uniform sampler2D palette;
uniform vec4 plain;      // the colour of all where its last part is above 0
uniform vec4 none;       // the colour where there is no tint
uniform float width, alpha;
out vec4 colour;
void main() {
  vec3 rgb = plain.a > 0.0 ? plain.rgb : at < 0.0 ? none.rgb : texture(palette, vec2(at, 0.5)).rgb;
  float a = alpha * clamp(width * 0.5 + 0.5 - abs(across), 0.0, 1.0);
  colour = vec4(rgb * a, a);
}`

const PLOT = 380        // pixels from the highest value to the lowest
const NARROWEST = 84    // pixels between two axes; beneath that the figure scrolls
const MANY = 4000       // lines from which they are drawn one pixel wide
const REACH = 16        // pixels beside an axis that still mean it
const drawings = new WeakMap()

export default function ({ data, parentElement, setStateValue, setTriggerValue }) {
  const root = parentElement.querySelector(".parallel")
  let drawing = drawings.get(parentElement)
  if (!drawing) drawings.set(parentElement, (drawing = new Drawing(root)))
  drawing.send = (brushes) => setStateValue("brush", brushes)
  drawing.open = (run) => setTriggerValue("run", run)
  drawing.take(data)
  return () => {
    drawing.end()
    drawings.delete(parentElement)
  }
}

function unpack(data) {
  const bytes = data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array(data).slice()
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  const length = view.getUint32(0, true)
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)))
  let at = 4 + length
  const floats = () => {
    const found = new Float32Array(bytes.buffer, bytes.byteOffset + at, header.n)
    at += 4 * header.n
    return found
  }
  const columns = header.axes.map(floats)
  const tint = floats()
  const lead = bytes.subarray(at, at + header.n)
  const names = bytes.subarray(at + header.n)
  return { ...header, columns, tint, lead, names }
}

function element(name, type, text) {
  const made = document.createElement(type ?? "div")
  made.className = name
  if (text !== undefined) made.textContent = text
  return made
}

function twice(values) {
  const made = new Float32Array(2 * values.length)
  values.forEach((value, i) => (made[2 * i] = made[2 * i + 1] = value))
  return made
}

function rgb(colour) {
  return [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16) / 255)
}

class Drawing {
  constructor(root) {
    this.root = root
    this.brushes = new Map()
    this.observer = new ResizeObserver(() => this.later(() => this.layout()))
    this.observer.observe(root)
  }

  end() {
    this.observer.disconnect()
    this.gl?.getExtension("WEBGL_lose_context")?.loseContext()
  }

  later(work) {
    this.work = work
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined
      this.work()
    })
  }

  take(data) {
    const size = data.byteLength ?? data.length
    if (data !== this.taken && size) {
      this.taken = data
      const next = unpack(data)
      if (next.stamp !== this.shown?.stamp) {
        this.shown = next
        this.called = undefined
        this.on = new Float32Array(next.n)
        this.brushes = new Map(next.brushes.map(([axis, low, high]) => [axis, [low, high]]))
        this.build()
      }
    }
    this.layout()
  }

  /* ------------------------------------------------------------------ what stands on the page */

  build() {
    const { axes, legend, texts } = this.shown
    this.root.replaceChildren()
    const top = element("bar")
    this.count = element("count", "span")
    this.count.setAttribute("role", "status")
    this.clear = element("clear", "button", texts.clear)
    this.clear.type = "button"
    this.clear.onclick = () => this.forget()
    top.append(this.legend(legend), this.count, this.clear)
    this.scroll = element("scroll")
    this.plot = element("plot")
    this.plot.setAttribute("role", "img")
    this.plot.setAttribute("aria-label", texts.alt)
    this.behind = element("behind", "canvas")
    this.canvas = element("lines", "canvas")
    this.over = element("over", "canvas")
    this.marks = element("marks")
    this.tip = element("tip")
    this.tip.hidden = true
    this.near = -1
    this.plot.append(this.behind, this.canvas, this.over, this.marks, this.tip)
    this.scroll.append(this.plot)
    this.root.append(top, this.scroll)
    this.parts = axes.map((axis, i) => this.axis(axis, i))
    this.plot.onpointermove = (event) => this.hover(event)
    this.plot.onpointerleave = () => this.point(-1)
    this.plot.onclick = (event) => {
      if (this.near >= 0 && !event.target.closest(".zone")) this.open(this.near)
    }
    this.gl = undefined
  }

  legend(given) {
    const made = element("legend")
    if (!given.title) return made
    made.append(element("title", "span", given.title))
    if (given.groups) {
      given.groups.forEach(([label, n], i) => {
        const item = element("item", "span")
        const patch = element("patch", "span")
        patch.style.background = this.shown.palette[i]
        item.append(patch, element("", "span", label), element("n", "span", n.toLocaleString()))
        made.append(item)
      })
      return made
    }
    const scale = element("scale")
    const ramp = element("ramp")
    ramp.style.background = `linear-gradient(to right, ${this.shown.palette.join(", ")})`
    scale.append(ramp)
    let right = -1
    for (const [at, text] of given.ticks) {
      if (at < right) continue
      right = at + 0.045 * text.length + 0.03
      const tick = element("tick", "span", text)
      tick.style.left = `${100 * at}%`
      scale.append(tick)
    }
    made.append(scale)
    if (given.note) made.append(element("note", "span", given.note))
    if (given.missing) {
      const item = element("item", "span")
      const patch = element("patch", "span")
      patch.style.background = this.shown.grey
      item.append(patch, element("", "span", this.shown.texts.no_value))
      made.append(item)
    }
    return made
  }

  axis(axis, i) {
    const made = element("axis")
    const title = element("title")
    const words = element("words")
    for (const word of axis.name.split(/(?<=[_./\- ])|(?<=[a-z])(?=[A-Z])/)) {
      words.append(word, document.createElement("wbr"))
    }
    title.append(words)
    if (axis.log) title.append(element("log", "span", this.shown.texts.log_axis))
    title.title = axis.name
    const rule = element("rule")
    const brush = element("brush")
    const zone = element("zone")
    made.append(title, rule, brush, zone)
    const ticks = axis.ticks.map(([at, text]) => {
      const tick = element("tick", "span", text)
      made.append(tick)
      return [at, tick]
    })
    const minor = axis.minor.map((at) => {
      const tick = element("minor", "span")
      made.append(tick)
      return [at, tick]
    })
    zone.onpointerdown = (event) => this.press(event, i)
    zone.ondblclick = () => this.forget(i)
    this.marks.append(made)
    return { made, title, rule, brush, zone, ticks, minor }
  }

  layout() {
    if (!this.shown) return
    const room = this.root.clientWidth
    if (!room) return
    const { axes, rails } = this.shown
    const style = getComputedStyle(this.root)
    // Our own height changes with what is laid out here: that is no reason to draw it all again.
    const laid = [room, this.shown.stamp, style.color, window.devicePixelRatio].join()
    if (laid === this.laid) return
    this.laid = laid
    const longest = Math.max(0, ...axes[0].ticks.map(([, text]) => text.length))
    const small = room < 600
    const left = Math.min(110, Math.max(small ? 40 : 56, 16 + 6 * longest))
    const right = small ? 44 : 64
    const gaps = Math.max(1, axes.length - 1)
    this.wide = Math.max(room, left + right + gaps * NARROWEST)
    const step = (this.wide - left - right) / gaps
    this.x = axes.map((_, i) => (axes.length === 1 ? this.wide / 2 : left + i * step))
    const heights = rails.map(([at]) => at)
    this.low = Math.min(0, ...heights) - 0.02
    this.high = Math.max(1, ...heights) + 0.02
    this.title(step)
    this.bottom = this.head + PLOT * (this.high - this.low)
    this.tall = Math.round(this.bottom + 10)
    this.plot.style.cssText = `width:${this.wide}px;height:${this.tall}px`
    this.place(step)
    const ratio = Math.min(2, window.devicePixelRatio || 1)
    for (const canvas of [this.behind, this.canvas, this.over]) {
      canvas.style.cssText = `width:${this.wide}px;height:${this.tall}px`
      const [w, h] = [Math.round(this.wide * ratio), Math.round(this.tall * ratio)]
      if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h]
    }
    this.ratio = ratio
    this.ink = style.color
    this.root.classList.toggle("dark", luminance(style.color) > 0.5)
    this.filter()
    this.draw()
    this.root.dataset.drawn = this.shown.stamp
  }

  title(step) {
    const width = Math.max(60, Math.min(170, step - 10))
    for (const part of this.parts) part.title.style.width = `${width}px`
    this.head = 14 + Math.max(...this.parts.map((part) => part.title.offsetHeight))
  }

  y(height) {
    return this.bottom + ((height - this.low) / (this.high - this.low)) * (this.head - this.bottom)
  }

  height(y) {
    return this.low + ((y - this.bottom) / (this.head - this.bottom)) * (this.high - this.low)
  }

  place(step) {
    this.parts.forEach((part, i) => {
      part.made.style.left = `${this.x[i]}px`
      part.title.style.bottom = `${this.tall - this.head + 8}px`
      part.rule.style.cssText = `top:${this.y(1)}px;height:${this.y(0) - this.y(1)}px`
      part.zone.style.cssText = `top:${this.head - 6}px;height:${this.bottom - this.head + 12}px`
      for (const [at, tick] of [...part.ticks, ...part.minor]) tick.style.top = `${this.y(at)}px`
      for (const [, tick] of part.ticks) tick.style.maxWidth = `${Math.max(56, step - 12)}px`
    })
    this.marks.querySelectorAll(".rail").forEach((rail) => rail.remove())
    for (const [at, text] of this.shown.rails) {
      const rail = element("rail")
      rail.style.cssText = `top:${this.y(at)}px;left:${this.x[0]}px;right:${this.wide - this.x.at(-1)}px`
      rail.append(element("name", "span", text))
      this.marks.prepend(rail)
    }
    this.bands()
  }

  bands() {
    this.parts.forEach((part, i) => {
      const brush = this.brushes.get(i)
      part.brush.hidden = !brush
      if (!brush) return
      const [top, bottom] = [this.y(brush[1]), this.y(brush[0])]
      part.brush.style.cssText = `top:${top}px;height:${Math.max(3, bottom - top)}px`
    })
  }

  /* ---------------------------------------------------------------------------- the brushes */

  press(event, i) {
    if (event.button > 0) return
    event.preventDefault()
    const zone = event.currentTarget
    zone.setPointerCapture(event.pointerId)
    const top = this.plot.getBoundingClientRect().top
    const reach = (y) => Math.min(this.high, Math.max(this.low, this.height(y - top)))
    const start = reach(event.clientY)
    const held = this.brushes.get(i)
    const moves = held && start >= held[0] && start <= held[1]
    this.dragged = false
    zone.onpointermove = (move) => {
      const now = reach(move.clientY)
      if (!this.dragged && Math.abs(now - start) * PLOT < 4) return
      this.dragged = true
      const by = now - start
      this.brushes.set(i, moves ? [held[0] + by, held[1] + by] : [Math.min(start, now), Math.max(start, now)])
      this.later(() => this.redraw())
    }
    zone.onpointerup = zone.onpointercancel = () => {
      zone.onpointermove = zone.onpointerup = zone.onpointercancel = null
      if (!this.dragged) return held && this.forget(i)
      this.snap(i)
      this.redraw()
      this.tell()
    }
  }

  /* An end beside a tick of a category, a rail or an axis's end means all of it. */
  snap(i) {
    let [low, high] = this.brushes.get(i)
    const { words } = this.shown.axes[i]
    const near = 5 / PLOT
    if (Math.abs(low) < near || (low < 0 && !this.rail(low, 0))) low = 0
    if (Math.abs(high - 1) < near || (high > 1 && !this.rail(1, high))) high = 1
    if (words && high >= 0 && low <= 1) {
      const reach = words - 1 + 0.82 // two bands less of what core/charts/parallel.py leaves free
      const place = (height) => height * reach - 0.41
      const edge = (at) => Math.min(1, Math.max(0, (at + 0.41) / reach))
      const middle = Math.round((place(low) + place(high)) / 2)
      const first = Math.min(middle, Math.ceil(place(low)))
      const last = Math.max(middle, Math.floor(place(high)))
      if (low >= 0) low = edge(first - 0.5)
      if (high <= 1) high = edge(last + 0.5)
    }
    this.brushes.set(i, [low, high])
  }

  rail(low, high) {
    return this.shown.rails.some(([at]) => at >= low - 0.001 && at <= high + 0.001)
  }

  forget(i) {
    if (i === undefined) this.brushes.clear()
    else this.brushes.delete(i)
    this.redraw()
    this.tell()
  }

  tell() {
    this.send([...this.brushes].map(([i, [low, high]]) => [i, low, high]))
  }

  /* --------------------------------------------------------------------------- the drawing */

  filter() {
    const { n, columns, lead } = this.shown
    const kept = [...this.brushes].map(([i, ends]) => [columns[i], ...ends])
    let count = 0
    for (let run = 0; run < n; run++) {
      let inside = lead[run]
      for (let k = 0; inside && k < kept.length; k++) {
        const height = kept[k][0][run]
        if (height < kept[k][1] || height > kept[k][2]) inside = 0
      }
      this.on[run] = inside
      count += inside
    }
    this.some = count
    const { texts } = this.shown
    const said = [count, n].map((value) => value.toLocaleString())
    const marked = this.brushes.size > 0
    this.count.textContent = marked ? texts.marked.replace("{n}", said[0]).replace("{all}", said[1]) : texts.hint
    this.clear.hidden = !marked
  }

  redraw() {
    this.filter()
    this.bands()
    this.draw()
  }

  start() {
    const gl = this.canvas.getContext("webgl2", { antialias: false, preserveDrawingBuffer: true })
    if (!gl) return false
    const program = gl.createProgram()
    for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(type)
      gl.shaderSource(shader, source)
      gl.compileShader(shader)
      gl.attachShader(program, shader)
    }
    gl.linkProgram(program)
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return false
    gl.useProgram(program)
    const buffer = (values) => {
      const made = gl.createBuffer()
      gl.bindBuffer(gl.ARRAY_BUFFER, made)
      gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW)
      return made
    }
    this.program = program
    this.corners = buffer(new Float32Array([0, -1, 1, -1, 0, 1, 1, 1]))
    this.columns = this.shown.columns.map(buffer)
    this.tints = buffer(this.shown.tint)
    this.state = buffer(this.on)
    // Without a graphics card each instance is a drawing of its own: many lines go as plain pairs
    // of points instead, one pixel wide.
    this.pairs = this.shown.n > MANY && {
      corners: buffer(Float32Array.from({ length: 4 * this.shown.n }, (_, i) => (i % 4 === 2 ? 1 : 0))),
      columns: this.shown.columns.map((column) => buffer(twice(column))),
      tints: buffer(twice(this.shown.tint)),
      state: buffer(twice(this.on)),
    }
    const { palette, legend } = this.shown
    const steps = legend.groups ? palette.length : 256
    const colours = palette.map(rgb)
    const pixels = new Uint8Array(steps * 4)
    for (let i = 0; i < steps; i++) {
      const place = (i / Math.max(1, steps - 1)) * (colours.length - 1)
      const [a, b] = [colours[Math.floor(place)], colours[Math.ceil(place)]]
      const share = place - Math.floor(place)
      for (let k = 0; k < 3; k++) pixels[4 * i + k] = 255 * (a[k] + share * (b[k] - a[k]))
      pixels[4 * i + 3] = 255
    }
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture())
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, steps, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, pixels)
    const filter = legend.groups ? gl.NEAREST : gl.LINEAR
    for (const name of ["MIN", "MAG"]) gl.texParameteri(gl.TEXTURE_2D, gl[`TEXTURE_${name}_FILTER`], filter)
    for (const name of ["S", "T"]) gl.texParameteri(gl.TEXTURE_2D, gl[`TEXTURE_WRAP_${name}`], gl.CLAMP_TO_EDGE)
    gl.enable(gl.BLEND)
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA)
    this.gl = gl
    return true
  }

  draw() {
    if (!this.gl && !this.start()) {
      this.count.textContent = this.shown.texts.no_webgl
      return
    }
    const { gl, program, ratio } = this
    const { n } = this.shown
    const set = (name, ...values) => gl[`uniform${values.length}f`](gl.getUniformLocation(program, name), ...values)
    const attribute = (name, buffer, size, every) => {
      const place = gl.getAttribLocation(program, name)
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer)
      gl.enableVertexAttribArray(place)
      gl.vertexAttribPointer(place, size, gl.FLOAT, false, 0, 0)
      gl.vertexAttribDivisor(place, every)
    }
    gl.bindBuffer(gl.ARRAY_BUFFER, this.state)
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, this.on)
    if (this.pairs) {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.pairs.state)
      gl.bufferSubData(gl.ARRAY_BUFFER, 0, twice(this.on))
    }
    gl.viewport(0, 0, this.canvas.width, this.canvas.height)
    gl.clearColor(0, 0, 0, 0)
    gl.clear(gl.COLOR_BUFFER_BIT)
    set("size", this.canvas.width, this.canvas.height)
    set("span", this.low, this.high)
    set("edge", this.bottom * ratio, this.head * ratio)
    const dark = this.root.classList.contains("dark")
    set("none", ...rgb(this.shown.grey), 1)
    const { x } = this
    // A single axis has no next one to draw to: its runs are strokes across it.
    const gaps = x.length === 1 ? [[x[0] - 40, x[0] + 40, 0, 0]] : x.slice(1).map((right, i) => [x[i], right, i, i + 1])
    const pass = (wanted, count, plain, strength, width) => {
      if (!count) return
      set("wanted", wanted)
      set("plain", ...plain)
      set("alpha", strength)
      set("width", width * ratio)
      const thin = count > MANY
      const [held, every] = thin ? [this.pairs, 0] : [this, 1]
      attribute("corner", held.corners, 2, 0)
      attribute("tint", held.tints, 1, every)
      attribute("on", held.state, 1, every)
      for (const [left, right, from, to] of gaps) {
        set("gap", left * ratio, right * ratio)
        attribute("from", held.columns[from], 1, every)
        attribute("to", held.columns[to], 1, every)
        if (thin) gl.drawArrays(gl.LINES, 0, 2 * n)
        else gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, n)
      }
    }
    // Many lines each take little: together they show where runs are dense.
    const strength = (count, most) => Math.max(0.05, Math.min(most, 9 / Math.sqrt(count)))
    const behind = dark ? [0.62, 0.66, 0.74, 1] : [0.45, 0.49, 0.56, 1]
    const back = this.behind.getContext("2d")
    back.clearRect(0, 0, this.behind.width, this.behind.height)
    if (this.some < n) {
      // The others stand behind as one pale layer: however dense they are, they never hide a line.
      pass(0, n - this.some, behind, strength(n - this.some, 0.6), 1)
      back.globalAlpha = 0.28
      back.drawImage(this.canvas, 0, 0)
      gl.clear(gl.COLOR_BUFFER_BIT)
    }
    pass(1, this.some, [0, 0, 0, 0], strength(this.some, 0.9), this.some > 2000 ? 1 : this.some > 150 ? 1.4 : 2)
  }

  /* ------------------------------------------------------------------------- one run alone */

  hover(event) {
    if (event.buttons) return this.point(-1)
    const box = this.plot.getBoundingClientRect()
    const [x, y] = [event.clientX - box.left, event.clientY - box.top]
    let i = this.x.findIndex((place) => place > x) - 1
    if (i < 0 || y < this.head - 4 || y > this.bottom + 4) return this.point(-1)
    const share = (x - this.x[i]) / (this.x[i + 1] - this.x[i])
    const [a, b] = [this.shown.columns[i], this.shown.columns[i + 1]]
    const at = this.height(y)
    let [found, least] = [-1, 7 / PLOT]
    for (let run = this.shown.n - 1; run >= 0; run--) {
      if (!this.on[run]) continue
      const away = Math.abs(a[run] + share * (b[run] - a[run]) - at)
      if (away < least) [found, least] = [run, away]
    }
    this.point(found, x, y)
  }

  point(run, x, y) {
    if (this.near !== run) {
      this.near = run
      const pen = this.over.getContext("2d")
      pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0)
      pen.clearRect(0, 0, this.wide, this.tall)
      this.plot.classList.toggle("found", run >= 0)
      this.tip.hidden = run < 0
      if (run < 0) return
      for (const [width, colour] of [[5, getComputedStyle(this.plot).backgroundColor], [2.2, this.ink]]) {
        pen.lineWidth = width
        pen.strokeStyle = colour
        pen.lineJoin = "round"
        pen.beginPath()
        this.x.forEach((place, i) => pen.lineTo(place, this.y(this.shown.columns[i][run])))
        pen.stroke()
      }
      this.called ??= new TextDecoder().decode(this.shown.names).split("\n")
      this.tip.textContent = this.called[run]
    }
    if (run < 0) return
    const wide = this.tip.offsetWidth
    this.tip.style.left = `${Math.max(4, Math.min(this.wide - wide - 4, x - wide / 2))}px`
    this.tip.style.top = `${y - 38}px`
  }
}

function luminance(colour) {
  const [r, g, b] = colour.match(/[\d.]+/g).map(Number)
  return (0.299 * r + 0.587 * g + 0.114 * b) / 255
}
