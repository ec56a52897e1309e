// Keys for those who live here. None of them decides anything, and all of them can be switched off.
(() => {
  "use strict";
  const help = document.getElementById("help"), on = document.getElementById("keys-on");
  const places = { i: "/", n: "/incidents", r: "/robots", a: "/audit", s: "/status", l: "/learning" };
  let before = "";

  try { on.checked = localStorage.getItem("remend-keys") !== "off"; } catch { /* no storage: they stay on */ }
  on.addEventListener("change", () => {
    try { localStorage.setItem("remend-keys", on.checked ? "on" : "off"); } catch { /* for this page, then */ }
  });
  for (const button of document.querySelectorAll("[data-help]")) {
    button.hidden = false;
    button.addEventListener("click", () => help.showModal());
  }

  function step(elements, by) {
    const all = [...elements];
    if (!all.length) return;
    const at = all.findIndex((each) => each.contains(document.activeElement) || each === document.activeElement);
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=radio]):not([type=range]):not([type=checkbox]), textarea, select, dialog");
    if (!on.checked || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key, second = before === "g";
    before = "";
    if (second && places[key]) location.href = places[key];
    else if (key === "g") { before = "g"; return; }
    else if (key === "?") help.showModal();
    else if (key === "j") step(document.querySelectorAll("[data-rows] .go"), 1);
    else if (key === "k") step(document.querySelectorAll("[data-rows] .go"), -1);
    else if (key === "]" || key === "[") step(document.querySelectorAll("[data-film] input"), key === "]" ? 1 : -1);
    else if (key === "d" && document.getElementById("decision")) {
      const place = document.getElementById("decision");
      place.scrollIntoView();
      place.focus();
    } else return;
    event.preventDefault();
  });
})();
