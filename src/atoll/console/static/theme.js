// Runs before the page is painted.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const show = () => (root.dataset.theme = localStorage.theme || (system.matches ? "dark" : "light"));
  show();
  system.addEventListener("change", show);
  addEventListener("click", (event) => {
    if (!event.target.closest("#theme")) return;
    localStorage.theme = root.dataset.theme === "dark" ? "light" : "dark";
    show();
  });
})();
