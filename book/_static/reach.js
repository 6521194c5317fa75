// A formula or table that is wider than its column scrolls: the keyboard can reach it then, as it can code by the theme.
function reach() {
  for (const box of document.querySelectorAll("div.math, table")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

addEventListener("load", reach);
addEventListener("resize", reach);
