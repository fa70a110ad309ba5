"""The looks of the report page, light and dark, from a phone's width upward."""

COLORS = """
:root {
  --paper: #fbfbfa; --card: #ffffff; --ink: #1c1c1f; --faint: #66666f; --line: #e4e4e7; --accent: #2563eb;
  --series-0: #2563eb; --series-1: #d9480f; --series-2: #087f5b; --series-3: #ae3ec9;
  --series-4: #b08900; --series-5: #0b7285; --series-6: #c2255c; --series-7: #5c636a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #131316; --card: #1c1c20; --ink: #ececf1; --faint: #9d9da8; --line: #2e2e34; --accent: #7aa2ff;
    --series-0: #6ea8fe; --series-1: #ff922b; --series-2: #38d9a9; --series-3: #da77f2;
    --series-4: #ffd43b; --series-5: #3bc9db; --series-6: #f783ac; --series-7: #adb5bd;
  }
}
"""

STYLE = (
    COLORS
    + """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1120px; margin: 0 auto; padding: clamp(20px, 5vw, 56px) clamp(16px, 4vw, 40px); }
header { margin-bottom: clamp(24px, 4vw, 40px); }
h1 { margin: 0; font-size: clamp(26px, 5vw, 38px); line-height: 1.15; letter-spacing: -0.02em; text-wrap: balance; }
h2 { margin: 0 0 16px; font-size: 21px; line-height: 1.25; letter-spacing: -0.01em; }
.subtitle { margin: 8px 0 0; color: var(--faint); font-size: 17px; overflow-wrap: anywhere; }
section { margin: 0 0 clamp(32px, 5vw, 52px); }
p { max-width: 68ch; margin: 0 0 16px; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(118px, 1fr)); gap: 12px; margin: 0 0 20px; }
.tile {
  display: flex; flex-direction: column; padding: 14px 16px 12px;
  background: var(--card); border: 1px solid var(--line); border-radius: 12px;
}
.label { color: var(--faint); font-size: 13.5px; }
.value {
  font-size: 27px; line-height: 1.3; font-weight: 620; letter-spacing: -0.02em; font-variant-numeric: tabular-nums;
}
.note { color: var(--faint); font-size: 13px; line-height: 1.35; }
figure { margin: 0 0 24px; }
img, video { display: block; width: auto; max-width: 100%; height: auto; margin: 0 auto; border-radius: 10px; }
video { width: 100%; max-height: 78vh; background: #000; }
figcaption { margin-top: 8px; color: var(--faint); font-size: 14px; }
.charts {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); gap: 14px; margin: 0 0 20px;
}
.charts > div { padding: 12px 12px 8px; background: var(--card); border: 1px solid var(--line); border-radius: 12px; }
.charts > div:only-child { max-width: 560px; }
.columns { display: flex; flex-wrap: wrap; align-items: flex-start; gap: 0 14px; }
.columns > * { flex: 1 1 300px; min-width: min(300px, 100%); }
.chart { display: block; width: 100%; height: auto; }
.table {
  width: fit-content; min-width: min(420px, 100%); max-width: 100%;
  overflow-x: auto; margin: 0 0 20px; background: var(--card); border: 1px solid var(--line); border-radius: 12px;
}
table { width: 100%; border-collapse: collapse; font-size: 15px; }
caption { padding: 12px 16px 4px; text-align: left; color: var(--faint); font-size: 14px; }
th, td { padding: 8px 16px; text-align: left; white-space: nowrap; }
th { color: var(--faint); font-weight: 560; font-size: 13.5px; }
td { border-top: 1px solid var(--line); }
.number { text-align: right; font-variant-numeric: tabular-nums; }
footer { padding-top: 18px; border-top: 1px solid var(--line); color: var(--faint); font-size: 13.5px; }
"""
)
