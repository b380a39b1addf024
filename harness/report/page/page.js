"use strict";
// What a page can do beyond being read: sort and filter tables, open an arm in its row, copy a command.
// Data are only ever put in as text, never as markup.
(() => {
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const say = (text) => { one("#said").textContent = text; };

  const make = (tag, options = {}, ...inside) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(options)) element.setAttribute(name, value);
    element.append(...inside);
    return element;
  };

  // Sorting. Numbers start with the largest, texts with the first; what has no value stays at the end either way.
  const order = new Intl.Collator("en", { numeric: true });
  const valueOf = (row, column) => row.cells[column].dataset.v ?? row.cells[column].textContent.trim();

  const compared = (column, kind, sign) => (a, b) => {
    const [x, y] = [valueOf(a, column), valueOf(b, column)];
    if (x === "" || y === "") return (x === "") - (y === "");
    return sign * (kind === "number" ? Number(x) - Number(y) : order.compare(x, y));
  };

  const sortable = (table) => {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const kind = head.dataset.kind;
      const button = make("button", { type: "button", ...(head.title ? { title: head.title } : {}) }, head.textContent);
      head.replaceChildren(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const was = head.getAttribute("aria-sort");
        const first = kind === "number" && !/^(rank|adj)/.test(button.textContent) ? "descending" : "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        const now = was === first ? other : first;
        heads.forEach((each) => each.setAttribute("aria-sort", each === head ? now : "none"));
        const rows = [...body.rows].filter((row) => !row.classList.contains("opened"));
        rows.sort(compared(column, kind, now === "ascending" ? 1 : -1));
        body.append(...rows.flatMap((row) => (row.sheet ? [row, row.sheet] : [row])));
        say(`Sorted by ${button.textContent}, ${now}.`);
      });
    });
  };

  all("table.board, table.sortable").forEach(sortable);

  // Filters.
  const board = one("table.board");
  if (!board) return;
  const rows = [...board.tBodies[0].rows];
  const words = new Map(rows.map((row) => [row, `${row.cells[1].textContent} ${row.dataset.axis}`.toLowerCase()]));
  const [find, axis, reference, failed] = ["find", "axis", "reference", "failed"].map((id) => one(`#${id}`));

  const fits = (row, wanted) =>
    wanted.every((word) => words.get(row).includes(word)) &&
    (!axis.value || row.dataset.axis === axis.value) &&
    (!reference.value || ("reference" in row.dataset) === (reference.value === "alone")) &&
    (!failed.value || (row.dataset.failed !== "0") === (failed.value === "some"));

  const filter = () => {
    const wanted = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kept = rows.filter((row) => {
      row.hidden = !fits(row, wanted);
      if (row.sheet) row.sheet.hidden = row.hidden;
      return !row.hidden;
    });
    one("#shown").textContent = kept.length === rows.length ? `${rows.length} arms` : `${kept.length} of ${rows.length} arms`;
    one("#none").hidden = kept.length > 0;
  };

  // Filters are kept in the address, so that a link or a reload shows the same arms.
  const controls = { find, axis, reference, failed };
  const keep = () => {
    const asked = new URLSearchParams(Object.entries(controls).map(([name, control]) => [name, control.value]).filter(([, value]) => value));
    history.replaceState(null, "", `${location.pathname}${asked.size ? `?${asked}` : ""}${location.hash}`);
    filter();
  };
  for (const [name, value] of new URLSearchParams(location.search)) {
    if (name in controls) controls[name].value = value;
  }
  // A select that has no such option is left empty by the browser: then nothing is filtered by it.
  [axis, reference, failed].filter((control) => control.selectedIndex < 0).forEach((control) => { control.selectedIndex = 0; });
  find.addEventListener("input", keep);
  [axis, reference, failed].forEach((control) => control.addEventListener("change", keep));
  one(".controls").hidden = false;
  filter();

  // An arm opens in its row: what stands in the section below is moved there, and its trials are drawn.
  let known;
  const embedded = () => (known ??= JSON.parse(one("#trials").textContent));
  const shown = (value, digits) => (value === null ? "–" : value.toFixed(digits));
  const signed = (value) => {
    if (value === null) return "–";
    const text = Math.abs(value).toFixed(2);
    return Number(text) === 0 ? text : (value < 0 ? "−" : "+") + text;
  };

  const trialRow = ([seed, key, lost, [score, valid, delta, cpu, wall, peak], why]) => {
    const link = make("a", { href: `${one("#trials").dataset.root}trials/${encodeURIComponent(key)}${lost ? ".failed" : ""}.json`, title: key }, key.slice(0, 8));
    const row = make("tr", lost ? { class: "lost" } : {}, make("th", { scope: "row" }, String(seed)));
    if (lost) row.append(make("td", { colspan: "6", class: "why" }, why || "failed"));
    else {
      const gain = delta === null && why ? make("span", { class: "why" }, why) : signed(delta);
      const cells = [shown(score, 2), shown(valid, 2), gain, shown(cpu, 2), shown(wall, 2), shown(peak, 0)];
      row.append(...cells.map((cell) => make("td", { class: "n" }, cell)));
    }
    row.append(make("td", {}, link));
    return row;
  };

  const drawTrials = (box) => {
    const { columns, trials } = embedded();
    const mine = trials[box.dataset.trials] ?? [];
    if (!mine.length) return box.replaceChildren(make("p", { class: "small" }, "No trial of this arm was run."));
    const heads = columns.map((name, place) => make("th", { scope: "col", ...(place && place < 7 ? { class: "n" } : {}) }, name));
    const table = make("table", { class: "stack" }, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...mine.map(trialRow)));
    for (const row of table.tBodies[0].rows) {
      [...row.cells].forEach((cell, place) => { cell.dataset.label = row.classList.contains("lost") && place ? (cell.colSpan > 1 ? "" : "record") : columns[place]; });
    }
    box.replaceChildren(table);
    for (const [name, value] of [["tabindex", "0"], ["role", "region"], ["aria-label", "Trials"]]) box.setAttribute(name, value);
  };

  const drawRows = (inside) => {
    for (const item of all("[data-row]", inside)) {
      const example = embedded().rows[item.dataset.row];
      if (!example) continue;
      item.prepend(
        example[0] === "i"
          ? make("img", { src: example.slice(1), alt: `row ${item.dataset.row}`, width: "48", height: "48" })
          : make("q", {}, example.slice(1)),
      );
    }
  };

  const copying = (box) => {
    const button = make("button", { type: "button", class: "copy" }, "Copy");
    button.addEventListener("click", async () => {
      const code = one("code", box);
      getSelection().selectAllChildren(code);
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      say("The command is copied.");
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    box.append(button);
  };

  const sheetFor = (row, place) => {
    const inside = one(`#inside-${place}`);
    const cell = make("td", { colspan: String(row.cells.length) }, inside);
    row.sheet = make("tr", { class: "opened" }, cell);
    all("[data-trials]", inside).forEach(drawTrials);
    drawRows(inside);
  };

  const toggle = (row, button, place) => {
    const open = button.getAttribute("aria-expanded") === "false";
    if (open && !row.sheet) sheetFor(row, place);
    button.setAttribute("aria-expanded", String(open));
    if (open) row.after(row.sheet);
    else row.sheet.remove();
    row.classList.toggle("open", open);
  };

  const buttons = new Map();
  for (const row of rows) {
    const link = one("a.arm", row);
    if (!link) continue;
    const place = link.hash.slice(5);
    const button = make("button", { type: "button", class: "arm", "aria-expanded": "false", "aria-controls": `inside-${place}` }, link.textContent);
    button.addEventListener("click", () => toggle(row, button, place));
    link.replaceWith(button);
    buttons.set(`#arm-${place}`, [row, button, place]);
  }
  one("#arms").hidden = true;

  const follow = () => {
    const [row, button, place] = buttons.get(location.hash) ?? [];
    if (!row) return;
    if (button.getAttribute("aria-expanded") === "false") toggle(row, button, place);
    row.scrollIntoView({ block: "start" });
    button.focus({ preventScroll: true });
  };
  addEventListener("hashchange", follow);
  all(".command").forEach(copying);
  follow();
})();
