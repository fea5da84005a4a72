/**
 * The style of picker and button, for a file or a route of the application: nothing of it is inline. Follows dark mode; its
 * colours are the custom properties at its beginning.
 */
export const pickerStylesheet = `.bank-picker, .bank-button {
  --bank-ink: #17202a; --bank-quiet: #4d5a68; --bank-line: #717d8a; --bank-paper: #fff; --bank-hover: #eef3f8;
  --bank-accent: #14508c; --bank-on-accent: #fff;
  box-sizing: border-box; font-family: system-ui, sans-serif; line-height: 1.4;
}
@media (prefers-color-scheme: dark) {
  .bank-picker, .bank-button {
    --bank-ink: #f1f4f7; --bank-quiet: #b4c0cc; --bank-line: #8b98a6; --bank-paper: #1b232c; --bank-hover: #2a3541;
    --bank-accent: #9cc9f5; --bank-on-accent: #0b1a29;
  }
}
.bank-picker *, .bank-picker *::before { box-sizing: inherit; }
.bank-picker { max-width: 30rem; padding: 1rem; color: var(--bank-ink); background: var(--bank-paper); }
.bank-picker h2 { margin: 0 0 1rem; font-size: 1.35rem; }
.bank-picker h3 { margin: 1.25rem 0 .5rem; font-size: 1rem; color: var(--bank-quiet); }
.bank-picker ul { list-style: none; margin: 0; padding: 0; display: grid; gap: .5rem; }
.bank-picker li { min-width: 0; }
.bank-picker a {
  display: flex; align-items: center; gap: .75rem; min-height: 3rem; padding: .5rem .75rem; color: inherit;
  text-decoration: none; border: 1px solid var(--bank-line); border-radius: .5rem; overflow-wrap: anywhere;
}
.bank-picker a:hover { background: var(--bank-hover); }
.bank-picker a > span:last-child { min-width: 0; }
.bank-picker small { display: block; color: var(--bank-quiet); }
.bank-picker img, .bank-letter { flex: none; width: 2rem; height: 2rem; border-radius: .4rem; }
.bank-picker img { object-fit: contain; }
.bank-letter { display: grid; place-items: center; color: var(--bank-on-accent); background: var(--bank-accent); font-weight: 600; }
.bank-picker form { display: flex; flex-wrap: wrap; gap: .5rem; }
.bank-picker label { flex: 1 0 100%; }
.bank-picker input, .bank-picker button {
  min-width: 0; min-height: 2.75rem; padding: .4rem .75rem; font: inherit; color: inherit; background: transparent;
  border: 1px solid var(--bank-line); border-radius: .5rem;
}
.bank-picker input { flex: 1; }
.bank-picker button, .bank-button {
  color: var(--bank-on-accent); background: var(--bank-accent); border: 1px solid var(--bank-accent); font-weight: 600; cursor: pointer;
}
.bank-button { display: inline-block; min-height: 2.75rem; padding: .6rem 1.1rem; border-radius: .5rem; text-decoration: none; }
.bank-picker :focus-visible, .bank-button:focus-visible { outline: 3px solid var(--bank-accent); outline-offset: 2px; }
`
