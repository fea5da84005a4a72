/** The marks of the banks, and of the sandbox itself: a colour, and what is drawn in white on it. */
const MARKS: Record<string, readonly [colour: string, mark: string]> = {
  mikomo: [
    '#0f6b5c',
    '<path d="M11 30V16l6 6 5-8 5 8 6-6v14" fill="none" stroke="#fff" stroke-width="3" stroke-linejoin="round" stroke-linecap="round"/>',
  ],
  harbour: [
    '#1d4f91',
    '<g fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round"><circle cx="22" cy="13" r="3"/><path d="M22 16v17M15 21h14M11 26c1 5 6 7 11 7s10-2 11-7"/></g>',
  ],
  northlight: [
    '#6a3a92',
    '<path d="M22 9l3.4 9.6L35 22l-9.6 3.4L22 35l-3.4-9.6L9 22l9.6-3.4z" fill="#fff"/>',
  ],
  cedar: [
    '#7c4a21',
    '<path d="M22 35V22m0 6c-7 0-11-5-11-12 7 0 11 5 11 12zm0-5c0-7 4-12 11-12 0 7-4 12-11 12z" fill="none" stroke="#fff" stroke-width="2.6" stroke-linejoin="round" stroke-linecap="round"/>',
  ],
  sandbox: [
    '#3d4a9e',
    '<path d="M9 33h26M12 29V20m7 9V20m6 9V20m7 9V20M9 16l13-7 13 7z" fill="none" stroke="#fff" stroke-width="3" stroke-linejoin="round" stroke-linecap="round"/>',
  ],
}

export function logo(id: string): string {
  const [colour, mark] = MARKS[id] ?? ['#3d4a9e', '']
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 44 44" width="44" height="44"><rect width="44" height="44" rx="11" fill="${colour}"/>${mark}</svg>`
}
