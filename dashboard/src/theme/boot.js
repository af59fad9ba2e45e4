// Runs before the first paint: applies the theme that was chosen on this device (see theme.ts).
(function () {
  try {
    var choice = localStorage.getItem('waypost.theme');
    if (choice === 'light' || choice === 'dark') document.documentElement.dataset.theme = choice;
  } catch (error) {
    // Storage may be forbidden; then the page follows the system.
  }
})();
