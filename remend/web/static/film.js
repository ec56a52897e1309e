// Strips of pictures become two pictures and one slider that moves both. Without scripts they stay strips.
(() => {
  "use strict";
  for (const film of document.querySelectorAll("[data-film]")) {
    const scrub = film.querySelector(".scrub"), slider = scrub.querySelector("input"), says = scrub.querySelector("output");
    const rows = [...film.querySelectorAll(".strip")].map((strip) => [...strip.querySelectorAll("div")]);
    if (!rows.length || rows[0].length < 2) continue;
    const show = () => {
      const at = Number(slider.value);
      rows.forEach((pictures) => pictures.forEach((each, k) => { each.hidden = k !== at; }));
      const moment = rows[0][at].querySelector(".note").textContent.split(",")[0];
      says.textContent = moment;
      slider.setAttribute("aria-valuetext", rows.map((pictures) => pictures[at].querySelector("img").alt).join("; "));
    };
    // where the incumbent is worst, there is most to see
    const off = (each) => { const text = each.querySelector(".note").textContent; return text.includes("lost") ? 999 : parseFloat(text.split(", ")[1]) || 0; };
    slider.value = rows[0].map(off).reduce((best, value, k, all) => value > all[best] ? k : best, 0);
    film.classList.add("two");
    const frame = film.querySelector(".strips"); // nothing scrolls there any more
    frame.removeAttribute("tabindex");
    scrub.hidden = false;
    slider.addEventListener("input", show);
    show();
  }
})();
