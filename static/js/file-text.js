// <rvr-file for="ID">: fills a text from a file that is chosen. Without a script the text is pasted.
class FileText extends HTMLElement {
  connectedCallback() {
    this.hidden = false;
    const input = this.querySelector("input");
    input.addEventListener("change", async () => {
      const [file] = input.files;
      if (file) document.getElementById(this.getAttribute("for")).value = await file.text();
    });
  }
}
customElements.define("rvr-file", FileText);
