/** Dark or light: the machine's choice until the visitor makes one. */

import { useState } from 'react';

const KEY = 'nodesys.theme';
type Theme = 'auto' | 'light' | 'dark';
const NEXT: Record<Theme, Theme> = { auto: 'light', light: 'dark', dark: 'auto' };

function stored(): Theme {
  try {
    const theme = localStorage.getItem(KEY);
    return theme === 'light' || theme === 'dark' ? theme : 'auto';
  } catch {
    // A browser may refuse storage.
    return 'auto';
  }
}

export function applyTheme(theme: Theme = stored()): void {
  document.documentElement.dataset['theme'] = theme;
}

export function ThemeButton() {
  const [theme, setTheme] = useState(stored);
  const change = () => {
    const next = NEXT[theme];
    setTheme(next);
    applyTheme(next);
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // It then lasts until the page is left.
    }
  };
  return (
    <button type="button" className="plain theme" onClick={change} aria-label={`Colours: ${theme}. Change to ${NEXT[theme]}`} title={`Colours: ${theme}`}>
      <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
        <circle cx="10" cy="10" r="7" fill="none" stroke="currentColor" strokeWidth="1.6" />
        {theme !== 'light' && <path d={theme === 'dark' ? 'M10 3a7 7 0 0 0 0 14 7 7 0 0 0 0-14z' : 'M10 3a7 7 0 0 1 0 14z'} fill="currentColor" />}
      </svg>
    </button>
  );
}
