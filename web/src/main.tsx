import './style/base.css';
import './style/parts.css';
import './style/days.css';
import './style/fleet.css';
import './style/pair.css';

import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { queryClient } from './api/backend.js';
import { App } from './app.js';
import { applyTheme } from './ui/theme.js';

applyTheme();
createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <QueryClientProvider client={queryClient}>
      <App />
    </QueryClientProvider>
  </StrictMode>,
);
