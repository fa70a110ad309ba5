"use strict";
// What moves in a report page: tables that sort, rows that are read out, and the player. Needs no network.

const REST_RATE = 6; // frames a second at normal speed

function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      // Numbers begin with the largest, names with A.
      const numeric = head.classList.contains("number");
      const before = head.getAttribute("aria-sort");
      const down = before === "none" ? numeric : before === "ascending";
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].textContent;
      const rows = [...body.rows].sort((a, b) => compareCells(key(a), key(b), numeric, down));
      body.append(...rows);
    });
  });
}

function compareCells(a, b, numeric, down) {
  // What is not defined stands last, whatever the direction.
  if (a === "-" || b === "-") return (a === "-") - (b === "-");
  const order = numeric
    ? parseFloat(a.replaceAll(",", "")) - parseFloat(b.replaceAll(",", ""))
    : a.localeCompare(b, undefined, { numeric: true });
  return down ? -order : order;
}

function readOut(area) {
  const line = area.nextElementSibling;
  const tell = (event) => {
    const words = event.target.closest("[data-words]")?.dataset.words;
    if (words) line.textContent = words;
  };
  area.addEventListener("pointerover", tell);
  area.addEventListener("focusin", tell);
}

function readCellsByArrow(area) {
  const rows = [...area.querySelectorAll("tbody tr")].map((row) => [...row.cells].slice(1));
  let [y, x] = [0, 0];
  area.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    rows[y][x].classList.remove("chosen");
    y = Math.min(Math.max(y + step[0], 0), rows.length - 1);
    x = Math.min(Math.max(x + step[1], 0), rows[y].length - 1);
    rows[y][x].classList.add("chosen");
    rows[y][x].scrollIntoView({ block: "nearest", inline: "nearest" });
    area.nextElementSibling.textContent = rows[y][x].dataset.words || "0: this was never seen";
  });
}

class Player {
  constructor(root, data) {
    const find = (selector) => root.querySelector(selector);
    this.root = root;
    this.units = data.units;
    this.videos = data.videos;
    this.stages = find(".stages");
    const [left, right] = root.querySelectorAll("canvas");
    this.sides = [
      { canvas: left, name: "Ground truth", tracks: "truth" },
      { canvas: right, name: "Prediction", tracks: "found" },
    ];
    this.slider = find(".seek");
    this.playButton = find(".play");
    [this.title, this.place, this.speed] = [".player-title", ".place", ".speed"].map(find);
    [this.masks, this.labels] = [".with-masks", ".with-labels"].map(find);
    this.timer = null;
    this.buildGallery(find(".gallery"));
    find('[data-do="back"]').addEventListener("click", () => this.step(-1));
    find('[data-do="forward"]').addEventListener("click", () => this.step(1));
    this.playButton.addEventListener("click", () => this.toggle());
    this.stages.addEventListener("click", () => this.toggle());
    this.slider.addEventListener("input", () => { this.pause(); this.seek(Number(this.slider.value)); });
    for (const box of [this.masks, this.labels]) box.addEventListener("change", () => this.draw());
    root.addEventListener("keydown", (event) => this.key(event));
    this.show(0);
  }

  buildGallery(gallery) {
    this.cards = this.videos.map((video, index) => {
      const card = document.createElement("button");
      card.type = "button";
      if (video.images) {
        const picture = document.createElement("img");
        picture.src = jpeg(video.images[video.images.length >> 1]);
        picture.alt = "";
        card.append(picture);
      }
      for (const text of [video.name, video.note]) {
        const line = document.createElement("span");
        line.textContent = text;
        card.append(line);
      }
      card.addEventListener("click", () => this.show(index));
      return card;
    });
    gallery.append(...this.cards);
  }

  show(index, frame = null) {
    this.pause();
    this.video = this.videos[index];
    this.cards.forEach((card, place) => card.setAttribute("aria-pressed", String(place === index)));
    this.title.textContent = this.video.name;
    this.pictures = (this.video.images || []).map((data) => {
      const picture = new Image();
      picture.onload = () => { if (picture === this.pictures[this.frame]) this.draw(); };
      picture.src = jpeg(data);
      return picture;
    });
    this.slider.max = this.video.frames.length - 1;
    for (const side of this.sides) {
      side.canvas.width = this.units;
      side.canvas.height = this.video.height;
    }
    // Not every frame of a long video is in the page: the nearest one before.
    const wanted = frame === null ? 0 : this.video.frames.findLastIndex((number) => number <= frame);
    this.seek(Math.max(wanted, 0));
  }

  seek(frame) {
    const last = this.video.frames.length - 1;
    this.frame = Math.min(Math.max(frame, 0), last);
    this.slider.value = this.frame;
    const told = `frame ${this.video.frames[this.frame]}`;
    this.place.textContent = `${told} (${this.frame + 1} of ${last + 1})`;
    this.slider.setAttribute("aria-valuetext", told);
    this.draw();
  }

  step(count) {
    this.pause();
    this.seek(this.frame + count);
  }

  toggle() {
    if (this.timer !== null) return this.pause();
    if (this.frame === this.video.frames.length - 1) this.seek(0);
    this.playButton.textContent = "Pause";
    this.next();
  }

  next() {
    this.timer = setTimeout(() => {
      this.seek((this.frame + 1) % this.video.frames.length);
      this.next();
    }, 1000 / (REST_RATE * Number(this.speed.value)));
  }

  pause() {
    clearTimeout(this.timer);
    this.timer = null;
    this.playButton.textContent = "Play";
  }

  key(event) {
    const at = event.target;
    // Buttons, boxes and lists keep their own keys.
    if (event.key === " " && at === this.stages) this.toggle();
    else if (at.matches("select, .seek") || event.ctrlKey || event.altKey || event.metaKey) return;
    else if (event.key === "ArrowLeft") this.step(-1);
    else if (event.key === "ArrowRight") this.step(1);
    else if (event.key === "Home") this.step(-Infinity);
    else if (event.key === "End") this.step(Infinity);
    else return;
    event.preventDefault();
  }

  draw() {
    const picture = this.pictures[this.frame];
    for (const side of this.sides) {
      const paint = side.canvas.getContext("2d");
      paint.fillStyle = "#8a8a90";
      paint.fillRect(0, 0, side.canvas.width, side.canvas.height);
      if (picture && picture.complete && picture.naturalWidth) {
        paint.drawImage(picture, 0, 0, side.canvas.width, side.canvas.height);
      }
      const seen = this.video[side.tracks].filter((track) => track.shapes[this.frame]);
      if (this.masks.checked) for (const track of seen) drawShape(paint, track, this.frame);
      if (this.labels.checked) drawLabels(paint, seen, this.frame);
      const names = seen.map(labelOf).join(", ") || "nothing";
      side.canvas.setAttribute("aria-label", `${side.name}, frame ${this.video.frames[this.frame]}: ${names}`);
    }
  }
}

const jpeg = (data) => `data:image/jpeg;base64,${data}`;

function labelOf(track) {
  const verdict = track.verdict && track.verdict !== "right" ? ` ${track.verdict}` : "";
  return track.score === undefined ? track.name : `${track.name} ${track.score.toFixed(2)}${verdict}`;
}

// A polygon is its first corner, then the steps from corner to corner.
function corners(polygon) {
  const points = [];
  let [x, y] = [0, 0];
  for (let place = 0; place < polygon.length; place += 2) {
    x += polygon[place];
    y += polygon[place + 1];
    points.push([x + 0.5, y + 0.5]);
  }
  return points;
}

function drawShape(paint, track, frame) {
  const path = new Path2D();
  for (const polygon of track.shapes[frame]) {
    corners(polygon).forEach(([x, y], place) => (place ? path.lineTo(x, y) : path.moveTo(x, y)));
    path.closePath();
  }
  paint.globalAlpha = 0.45;
  paint.fillStyle = track.color;
  paint.fill(path, "evenodd");
  paint.globalAlpha = 1;
  paint.lineJoin = "round";
  for (const [color, width] of [["rgba(20, 20, 22, 0.55)", 5], [track.color, 3]]) {
    paint.strokeStyle = color;
    paint.lineWidth = width;
    paint.stroke(path);
  }
}

function drawLabels(paint, tracks, frame) {
  paint.font = "600 21px system-ui, sans-serif";
  const taken = [];
  for (const track of tracks) {
    const points = track.shapes[frame].flatMap(corners);
    if (!points.length) continue;
    const [x, y] = points.reduce((top, point) => (point[1] < top[1] ? point : top));
    const text = labelOf(track);
    const width = paint.measureText(text).width + 14;
    const left = Math.min(Math.max(x - width / 2, 2), paint.canvas.width - width - 2);
    let top = Math.min(Math.max(y - 34, 2), paint.canvas.height - 32);
    // Below those that are in its way, one after the other.
    for (const other of taken.sort((a, b) => a.top - b.top)) {
      const beside = left + width < other.left || other.left + other.width < left;
      if (!beside && Math.abs(top - other.top) < 30) top = other.top + 30;
    }
    taken.push({ left, top, width });
    drawLabel(paint, text, track.color, left, top, width);
  }
}

function drawLabel(paint, text, color, left, top, width) {
  paint.fillStyle = "rgba(20, 20, 22, 0.82)";
  paint.beginPath();
  paint.roundRect(left, top, width, 29, 5);
  paint.fill();
  paint.fillStyle = color;
  paint.fillRect(left + 4, top + 25, width - 8, 3);
  paint.fillStyle = "#fff";
  paint.fillText(text, left + 7, top + 20);
}

function linkTimelines(player) {
  for (const timeline of document.querySelectorAll(".timeline")) {
    const index = player.videos.findIndex((video) => video.name === timeline.dataset.video);
    if (index < 0) continue;
    timeline.addEventListener("click", (event) => {
      const row = event.target.closest(".time-row");
      if (!row) return;
      const track = row.querySelector(".time-track").getBoundingClientRect();
      // A row that is chosen by key tells no place: its first bar does.
      const first = parseFloat(row.querySelector(".time-bar")?.style.left ?? "0") / 100;
      const share = event.detail ? (event.clientX - track.left) / track.width : first;
      player.show(index, Math.floor(Math.max(share, 0) * Number(timeline.dataset.length)));
      player.stages.focus();
      player.root.scrollIntoView({ block: "start" });
    });
  }
}

function makeFlipBook(book) {
  const slider = book.querySelector("input");
  const figures = [...book.querySelectorAll("figure")];
  if (!slider) return;
  const show = () => {
    figures.forEach((figure, place) => { figure.hidden = place !== Number(slider.value); });
    slider.setAttribute("aria-valuetext", figures[slider.value].textContent);
  };
  slider.addEventListener("input", show);
  show();
}

document.querySelectorAll(".flip").forEach(makeFlipBook);
document.querySelectorAll("table[data-sortable]").forEach(makeSortable);
document.querySelectorAll("[data-readout]").forEach(readOut);
document.querySelectorAll(".heat").forEach(readCellsByArrow);
const pageData = JSON.parse(document.getElementById("page-data").textContent);
const playerRoot = document.getElementById("player");
if (playerRoot && pageData) linkTimelines(new Player(playerRoot, pageData));
