"use strict";
// Opens the question a link points at, and narrows the list of questions. The page reads well without it.
const open = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) {
    target.hidden = false;
    target.open = true;
    target.scrollIntoView();
  }
};
addEventListener("hashchange", open);
open();

const filters = document.getElementById("filters");
if (filters) {
  const cards = [...document.querySelectorAll("#others details.card")];
  const shown = document.getElementById("shown");
  const list = cards.length ? cards[0].parentElement : null;
  const narrow = () => {
    const wanted = filters.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const outcome = filters.elements.outcome.value, kind = filters.elements.kind.value;
    let left = 0;
    for (const card of cards) {
      card.hidden = !(wanted.every((word) => card.dataset.search.includes(word))
        && (!outcome || card.dataset.outcome === outcome) && (!kind || card.dataset.kind === kind));
      left += !card.hidden;
    }
    shown.textContent = `${left} of ${cards.length}`;
  };
  const sort = () => {
    const by = filters.elements.order.value;
    const key = (card) => by === "confidence" ? Number(card.dataset.confidence) : card.dataset[by];
    const sorted = [...cards].sort((a, b) => key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0);
    list.append(...sorted);
  };
  filters.addEventListener("input", narrow);
  filters.elements.order.addEventListener("change", sort);
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.hidden = false;
  narrow();
}
