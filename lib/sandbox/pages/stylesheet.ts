/** The one stylesheet of all pages. Every text colour has a contrast of at least 4.5 to 1. */
export const STYLESHEET = `
:root {
  color-scheme: light dark;
  --accent: #3d4a9e;
  --accent-dark: #2f3a7e;
  --accent-soft: #eef0fb;
  --ink: #1c2430;
  --muted: #566072;
  --line: #e1e5ec;
  --ground: #f3f5f8;
  --paper: #fff;
  --alarm: #9c1f1f;
  --alarm-soft: #fdf0ef;
  --on-accent: #fff;
  --edge: #868fa0;
  --notice: #fff4d6;
  --notice-line: #ecd9a0;
  --on-notice: #5a4300;
}
.theme-mikomo { --accent: #0f6b5c; --accent-dark: #0a5247; --accent-soft: #e8f4f1 }
.theme-harbour { --accent: #1d4f91; --accent-dark: #163d71; --accent-soft: #eaf1fa }
.theme-northlight { --accent: #6a3a92; --accent-dark: #522c72; --accent-soft: #f4edf9 }
.theme-cedar { --accent: #7c4a21; --accent-dark: #613918; --accent-soft: #f9f1ea }
@media (prefers-color-scheme: dark) {
  :root {
    --accent: #a3aef5;
    --accent-dark: #c2caf9;
    --accent-soft: #262c47;
    --ink: #e6e9ef;
    --muted: #a5aebd;
    --line: #333b48;
    --ground: #12161d;
    --paper: #1b212b;
    --alarm: #ffaba3;
    --alarm-soft: #3a1f20;
    --on-accent: #12161d;
    --edge: #6f7a8c;
    --notice: #3a3013;
    --notice-line: #574a21;
    --on-notice: #f2dfa6;
  }
  .theme-mikomo { --accent: #5fc4b1; --accent-dark: #8ad8c9; --accent-soft: #17342f }
  .theme-harbour { --accent: #86b4f0; --accent-dark: #abcbf6; --accent-soft: #1c2f48 }
  .theme-northlight { --accent: #cda0ee; --accent-dark: #debff4; --accent-soft: #352444 }
  .theme-cedar { --accent: #dfa878; --accent-dark: #ebc4a3; --accent-soft: #3b2a1c }
}

*, *::before, *::after { box-sizing: border-box }
html { -webkit-text-size-adjust: 100% }
body {
  margin: 0;
  min-height: 100vh;
  background: var(--ground);
  color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }

.notice {
  padding: .55rem 1rem;
  background: var(--notice);
  border-bottom: 1px solid var(--notice-line);
  color: var(--on-notice);
  font-size: .875rem;
  text-align: center;
}
.notice p { margin: 0 }
.notice strong {
  margin-right: .45rem;
  padding: .1rem .5rem;
  border-radius: 1rem;
  background: var(--on-notice);
  color: var(--notice);
  font-size: .75rem;
  letter-spacing: .03em;
}

main {
  display: flex;
  flex-wrap: wrap;
  gap: 1.5rem;
  align-items: flex-start;
  justify-content: center;
  padding: clamp(1rem, 6vh, 4rem) 1rem 3rem;
}
.card {
  width: 100%;
  max-width: 31rem;
  padding: clamp(1.25rem, 5vw, 2.25rem);
  background: var(--paper);
  border: 1px solid var(--line);
  border-radius: .9rem;
  box-shadow: inset 0 4px 0 var(--accent), 0 1px 2px rgb(28 36 48 / 5%), 0 12px 32px -16px rgb(28 36 48 / 22%);
}
.wide { max-width: 62rem }

h1 { margin: 0 0 .5rem; font-size: 1.5rem; line-height: 1.25; letter-spacing: -.015em; text-wrap: balance }
h2 { margin: 2rem 0 .5rem; font-size: 1.05rem; line-height: 1.3 }
p { margin: 0 0 1rem; text-wrap: pretty }
a { color: var(--accent-dark) }
code { font: .92em/1.4 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere }
.lead { color: var(--muted) }
.lead strong { color: var(--ink) }

.brand {
  display: flex;
  gap: .8rem;
  align-items: center;
  margin-bottom: 1.5rem;
  padding-bottom: 1.25rem;
  border-bottom: 1px solid var(--line);
}
.brand img { flex: none; width: 44px; height: 44px }
.brand p { margin: 0; line-height: 1.3 }
.brand strong { display: block }
.brand span { color: var(--muted); font-size: .875rem }

label { display: block; margin-bottom: .3rem; font-size: .925rem; font-weight: 600 }
input, select {
  width: 100%;
  margin: 0 0 1rem;
  padding: .65rem .8rem;
  border: 1px solid var(--edge);
  border-radius: .5rem;
  background: var(--paper);
  color: inherit;
  font: inherit;
}
input:focus-visible, select:focus-visible { outline-offset: 0; border-color: var(--accent) }
input[aria-invalid] { border-color: var(--alarm) }

button { font: inherit; cursor: pointer }
.actions { display: flex; flex-wrap: wrap; gap: .6rem; margin-top: 1.25rem }
.primary, .quiet {
  padding: .7rem 1.3rem;
  border: 1px solid transparent;
  border-radius: .5rem;
  font-weight: 600;
}
.primary { flex: 1 1 12rem; background: var(--accent); color: var(--on-accent); text-align: center; text-decoration: none }
.primary:hover { background: var(--accent-dark) }
.quiet { flex: 0 1 auto; background: transparent; border-color: var(--edge); color: var(--ink) }
.quiet:hover { background: var(--accent-soft); border-color: var(--accent) }

.alert {
  padding: .7rem .9rem;
  border-left: 4px solid var(--alarm);
  border-radius: .3rem;
  background: var(--alarm-soft);
  color: var(--alarm);
}
.alert ul { margin: 0; padding-left: 1.1rem }
.alert li { overflow-wrap: anywhere }
.alert li + li { margin-top: .3rem }
.alert { margin: .9rem 0 1rem }

.hint { width: 100%; max-width: 31rem; padding: .25rem }
.hint h2 { margin: 0 0 .3rem }
.hint p { color: var(--muted); font-size: .925rem }
.hint ul { margin: 0; padding: 0; list-style: none }
.hint li { display: grid; grid-template-columns: 5.6rem 1fr; gap: 0 .5rem; padding: .55rem 0; border-top: 1px solid var(--line); font-size: .925rem }
.hint li span { color: var(--muted) }
@media (min-width: 56rem) {
  .hint { max-width: 20rem; padding: 2.25rem 0 }
}

.claims { margin: 1rem 0 0 }
.claims div { display: grid; grid-template-columns: 8.25rem 1fr; gap: 0 .75rem; padding: .6rem 0; border-top: 1px solid var(--line) }
.claims div:last-child { border-bottom: 1px solid var(--line) }
.claims dt { color: var(--muted) }
.claims dd { margin: 0; font-size: .925rem; line-height: 1.62; font-weight: 600; overflow-wrap: anywhere }
@media (max-width: 27rem) {
  .quiet { flex-grow: 1 }
  .claims div { grid-template-columns: 1fr }
}

.search > div { display: flex; gap: .5rem }
.search input { flex: 1; min-width: 0; margin: 0 }
.search button {
  flex: none;
  padding: 0 1.1rem;
  border: 1px solid var(--accent);
  border-radius: .5rem;
  background: var(--accent-soft);
  color: var(--accent-dark);
  font-weight: 600;
}
.search button:hover { background: var(--accent); color: var(--on-accent) }
.count { margin: 1rem 0 .4rem; color: var(--muted); font-size: .875rem }
.banks { margin: 0; padding: 0; list-style: none }
.banks li + li { margin-top: .5rem }
.banks button {
  display: flex;
  gap: .9rem;
  align-items: center;
  width: 100%;
  padding: .7rem .8rem;
  border: 1px solid var(--line);
  border-radius: .6rem;
  background: var(--paper);
  color: inherit;
  text-align: left;
}
.banks button:hover { border-color: var(--accent); background: var(--accent-soft) }
.banks button::after { content: "" / ""; flex: none; width: .5rem; height: .5rem; margin: 0 .25rem 0 auto; border: solid var(--muted); border-width: 2px 2px 0 0; transform: rotate(45deg) }
.banks strong { display: block; line-height: 1.35 }
.banks small { color: var(--muted); font-size: .875rem }

.facts { margin: 0 }
.facts div { display: grid; grid-template-columns: 12rem 1fr; gap: 0 1rem; padding: .5rem 0; border-top: 1px solid var(--line) }
.facts dt { color: var(--muted) }
.facts dd { margin: 0; overflow-wrap: anywhere }
.scroll { overflow-x: auto }
table { width: 100%; border-collapse: collapse; font-size: .925rem }
th, td { padding: .5rem 1rem .5rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top }
th, td { white-space: nowrap }
th { color: var(--muted); font-weight: 600 }
.bank-title { display: flex; gap: .7rem; align-items: center }
.bank-title img { width: 32px; height: 32px }
@media (max-width: 38rem) {
  .facts div { grid-template-columns: 1fr }
}
@media print { .notice { border: 0 } }
`
