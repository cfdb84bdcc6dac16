"use strict";
(() => {
  const body = document.querySelector("#slides tbody");
  const rows = [...body.rows];
  const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim().toLowerCase();
  const compare = (a, b) => {
    if (a === b) return 0;
    if (a === "") return 1;
    if (b === "") return -1;
    return isNaN(a) || isNaN(b) ? a.localeCompare(b, "en", { numeric: true }) : a - b;
  };
  document.querySelectorAll("#slides thead button").forEach((button) => {
    button.addEventListener("click", () => {
      const head = button.closest("th");
      const down = head.getAttribute("aria-sort") === "ascending";
      head.parentElement.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const ordered = rows.map((row) => [value(row, head.cellIndex), row]);
      ordered.sort((a, b) => (a[0] === "" || b[0] === "" ? compare(a[0], b[0]) : (down ? -1 : 1) * compare(a[0], b[0])));
      body.append(...ordered.map((pair) => pair[1]));
    });
  });
  const search = document.querySelector("#search");
  const shown = document.querySelector("#shown");
  search.addEventListener("input", () => {
    const wanted = search.value.trim().toLowerCase();
    let count = 0;
    rows.forEach((row) => {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      count += !row.hidden;
    });
    shown.textContent = `${count} of ${rows.length} shown`;
  });
})();
