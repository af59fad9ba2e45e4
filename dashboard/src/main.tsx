import { render } from 'preact';
import './styles/index.css';
import './theme/theme';
import { App } from './app';
import { startClock } from './ui/clock';

startClock();
const root = document.getElementById('app');
if (root) render(<App />, root);
