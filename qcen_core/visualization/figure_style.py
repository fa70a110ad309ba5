"""The looks of what is on a page beside text, tiles and tables: cards, bars, heat maps, timelines and the player."""

FIGURE_STYLE = """
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
html { scroll-padding-top: 12px; }
h3 { margin: 0 0 6px; font-size: 16.5px; line-height: 1.3; overflow-wrap: anywhere; }
nav ul { display: flex; flex-wrap: wrap; gap: 8px; margin: 0 0 clamp(24px, 4vw, 40px); padding: 0; list-style: none; }
nav a {
  display: block; padding: 5px 13px; border: 1px solid var(--line); border-radius: 99px; background: var(--card);
  color: inherit; font-size: 14px; text-decoration: none;
}
nav a:hover { border-color: var(--accent); color: var(--accent); }
.card {
  margin: 0 0 16px; padding: clamp(14px, 2.5vw, 22px); background: var(--card); border: 1px solid var(--line);
  border-radius: 14px; min-width: 0;
}
.columns > .card { flex-basis: 400px; }
.columns > .columns { flex-direction: column; align-items: stretch; }
.columns > .columns > * { flex: none; width: auto; max-width: 100%; }
.flip figcaption { margin: 0 0 6px; color: var(--ink); font-weight: 600; }
.table { max-height: 84vh; }
thead th { position: sticky; top: 0; background: var(--card); }
.card p { color: var(--faint); font-size: 14.5px; line-height: 1.5; margin-bottom: 12px; }
.card .charts, .card .table, .card .bars { margin-bottom: 0; }
.card .charts > div, .card .table { border: 0; padding-left: 0; padding-right: 0; border-radius: 0; }
.card th:first-child, .card td:first-child { padding-left: 4px; }
th button {
  all: unset; cursor: pointer; display: inline-block; padding: 2px 0; color: var(--faint); font: inherit;
}
th button::after { content: " \\2195"; opacity: 0.45; }
th[aria-sort="ascending"] button::after { content: " \\2191"; opacity: 1; }
th[aria-sort="descending"] button::after { content: " \\2193"; opacity: 1; }
th[aria-sort="ascending"] button, th[aria-sort="descending"] button { color: var(--ink); }
th button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 3px; }

.bars { display: grid; gap: 11px; margin: 0; padding: 0; list-style: none; font-size: 14.5px; }
.bars li {
  display: grid; grid-template-columns: minmax(88px, 9.2em) 1fr 3.4em; gap: 1px 12px; align-items: center;
}
.bar-label { overflow-wrap: anywhere; line-height: 1.3; }
.bar-track { height: 15px; border-radius: 4px; background: color-mix(in srgb, var(--ink) 8%, transparent); }
.bar-track span { display: block; height: 100%; min-width: 2px; border-radius: 4px; }
.bar-value { text-align: right; font-weight: 600; font-variant-numeric: tabular-nums; }
.bar-note, .bar-words { grid-column: 2 / -1; color: var(--faint); font-size: 13px; line-height: 1.4; }
.bar-words { max-width: 74ch; margin-bottom: 4px; }
.spans li { grid-template-columns: minmax(88px, 9.2em) 1fr 4.2em; }
.span-track {
  position: relative; height: 15px; border-radius: 4px; background: color-mix(in srgb, var(--ink) 6%, transparent);
}
.span-track span { position: absolute; top: 5px; height: 5px; min-width: 2px; border-radius: 3px; }
.span-track .zero { top: -2px; height: 19px; width: 1.5px; min-width: 0; background: currentColor; opacity: 0.55; }
.span-track .middle { top: 2px; width: 11px; height: 11px; margin-left: -5.5px; border-radius: 50%; }

@media (max-width: 560px) {
  .bar-words { grid-column: 1 / -1; margin-bottom: 8px; }
}

.heat {
  overflow: auto; max-height: min(76vh, 720px); width: fit-content; max-width: 100%; border: 1px solid var(--line);
  border-radius: 10px;
}
.heat table { width: auto; border-collapse: separate; border-spacing: 0; font-size: 13px; }
.heat th, .heat td { padding: 0 4px; border: 0; }
.heat td {
  min-width: 34px; height: 30px; text-align: center; font-variant-numeric: tabular-nums;
  background: color-mix(in srgb, var(--accent) var(--share), var(--card)); border: 1px solid var(--card);
}
.heat td.strong { color: var(--card); font-weight: 620; }
@media (prefers-color-scheme: dark) {
  .heat td { background: color-mix(in srgb, var(--accent) calc(var(--share) * 0.6), var(--card)); }
  .heat td.strong { color: var(--ink); }
}
.heat td.none { color: var(--faint); opacity: 0.45; background: color-mix(in srgb, var(--ink) 3%, var(--card)); }
.heat td.chosen { outline: 3px solid var(--ink); outline-offset: -3px; }
.heat th { position: sticky; background: var(--card); color: var(--ink); font-size: 13px; z-index: 1; }
.heat thead th { top: 0; height: 132px; vertical-align: bottom; padding-bottom: 6px; }
.heat thead th span {
  display: inline-block; writing-mode: vertical-rl; transform: rotate(180deg); max-height: 124px; overflow: hidden;
}
.heat tbody th, .heat thead th:first-child { left: 0; text-align: right; padding: 0 8px; max-width: 130px; }
.heat tbody th { overflow: hidden; text-overflow: ellipsis; font-weight: 500; }
.heat thead th:first-child { z-index: 2; color: var(--faint); padding-bottom: 6px; }
.readout { min-height: 1.5em; margin: 8px 0 0; font-size: 14px; max-width: none; color: var(--ink); }
.card .readout { margin-bottom: 0; color: var(--ink); }

.legend {
  display: flex; flex-wrap: wrap; gap: 6px 16px; margin: 0 0 16px; padding: 0; list-style: none; font-size: 14px;
}
.legend span {
  display: inline-block; width: 14px; height: 14px; margin-right: 6px; border-radius: 4px; vertical-align: -2px;
}
.timeline {
  padding: 14px clamp(10px, 2vw, 18px) 8px; background: var(--card); border: 1px solid var(--line); border-radius: 14px;
}
.timeline + .readout { margin: 5px 0 9px; padding-left: 4px; color: var(--faint); }
.time-head, .time-more { margin: 0 0 8px; color: var(--faint); font-size: 14px; max-width: none; }
.time-group { margin: 6px 0 1px; color: var(--faint); font-size: 12.5px; }
.time-row {
  all: unset; box-sizing: border-box; display: grid; grid-template-columns: clamp(104px, 24%, 210px) 1fr; gap: 10px;
  align-items: center; width: 100%; min-height: 25px; cursor: pointer; border-radius: 5px;
}
.time-row:hover { background: color-mix(in srgb, var(--ink) 6%, transparent); }
.time-row:focus-visible { outline: 3px solid var(--accent); outline-offset: 1px; }
.time-label { overflow: hidden; white-space: nowrap; text-overflow: ellipsis; font-size: 13.5px; }
.time-label i { display: inline-block; width: 9px; height: 9px; margin-right: 6px; border-radius: 50%; }
.time-track { position: relative; height: 17px; background: color-mix(in srgb, var(--ink) 5%, transparent); }
.time-bar { position: absolute; top: 3px; height: 11px; min-width: 2px; border-radius: 3px; }
.time-line { top: 8px; height: 1.5px; opacity: 0.6; }

.player {
  padding: clamp(10px, 2vw, 18px); background: var(--card); border: 1px solid var(--line); border-radius: 14px;
}
.gallery { display: flex; gap: 10px; margin: 0 0 14px; padding: 3px 3px 10px; overflow-x: auto; }
.gallery button {
  all: unset; box-sizing: border-box; flex: 0 0 132px; padding: 6px; cursor: pointer; border: 2px solid transparent;
  border-radius: 10px; font-size: 13px; line-height: 1.35;
}
.gallery button:hover { background: color-mix(in srgb, var(--ink) 6%, transparent); }
.gallery button[aria-pressed="true"] { border-color: var(--accent); }
.gallery button:focus-visible { outline: 3px solid var(--accent); outline-offset: 1px; }
.gallery img { width: 100%; height: 72px; object-fit: cover; border-radius: 6px; margin-bottom: 4px; }
.gallery span { display: block; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; }
.gallery span + span { color: var(--faint); }
.stages {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(300px, 100%), 1fr)); gap: 10px 12px;
  cursor: pointer;
}
.stages:focus-visible { outline-offset: 4px; border-radius: 8px; }
.stages figure { margin: 0; min-width: 0; }
.stages figcaption { margin: 0 0 4px; }
canvas { display: block; width: 100%; height: auto; border-radius: 8px; }
.seek { display: block; width: 100%; margin: 14px 0 8px; accent-color: var(--accent); }
.controls { display: flex; flex-wrap: wrap; gap: 8px 14px; align-items: center; font-size: 14px; }
.controls button, .controls select {
  min-height: 36px; padding: 4px 13px; color: inherit; background: var(--paper); border: 1px solid var(--line);
  border-radius: 8px; font: inherit; cursor: pointer;
}
.controls button:hover { border-color: var(--accent); }
.controls .play {
  min-width: 84px; font-weight: 600; color: var(--card); background: var(--accent); border-color: transparent;
}
.controls input { accent-color: var(--accent); width: 17px; height: 17px; vertical-align: -3px; }
.place { min-width: 10.5em; font-variant-numeric: tabular-nums; color: var(--faint); }
"""
