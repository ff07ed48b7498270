// A labelled native control. Emits every change of its value; a textarea, which may be long, when it is left.
export default {
  template: `
    <fieldset v-if="kind === 'choice'" class="field choice">
      <legend>{{ label }}</legend>
      <div><label v-for="one in options" :key="one[0]">
        <input type="radio" :name="id" :value="one[0]" v-model="current" :disabled="disabled"><span>{{ one[1] }}</span>
      </label></div>
    </fieldset>
    <div v-else-if="kind === 'checkbox'" class="field check">
      <label><input type="checkbox" v-model="current" :disabled="disabled"><span>{{ label }}</span></label>
    </div>
    <div v-else class="field" :class="{bare}">
      <label :for="id" :class="{hidden: bare}">{{ label }}</label>
      <select v-if="kind === 'select'" :id="id" v-model="current" :disabled="disabled">
        <option v-for="one in options" :key="one[0]" :value="one[0]">{{ one[1] }}</option>
      </select>
      <textarea v-else-if="kind === 'textarea'" :id="id" :value="current" @change="send($event.target.value)" :rows="rows" :disabled="disabled"
        :readonly="readonly" spellcheck="false" @keydown.ctrl.enter.prevent="send($event.target.value), $emit('enter')"></textarea>
      <input v-else :id="id" :type="kind" v-model="current" :disabled="disabled" :readonly="readonly"
        :placeholder="placeholder" :min="least" :max="most" :step="step" autocomplete="off" spellcheck="false"
        :list="options.length ? id + 'l' : null" @keydown.enter="$emit('enter')">
      <datalist v-if="options.length && kind === 'text'" :id="id + 'l'">
        <option v-for="one in options" :key="one[0]" :value="one[0]"></option>
      </datalist>
      <small v-if="hint">{{ hint }}</small>
    </div>`,
  props: {
    value: {}, label: String, kind: String, options: { default: () => [] }, hint: String, rows: Number, bare: Boolean, focus: Boolean, shown: Number,
    disabled: Boolean, readonly: Boolean, placeholder: String, least: String, most: String, step: String,
  },
  emits: ["update:value", "enter"],
  data() {
    return { current: this.value, sent: this.value, id: "f" + Math.random().toString(36).slice(2) };
  },
  mounted() {
    if (this.focus) setTimeout(() => this.$el.querySelector("input")?.focus(), 50); // after the dialog takes the focus
  },
  watch: {
    value(now) { this.current = this.sent = now; },
    shown() { this.current = this.sent = this.value; },
    current(now) { if (now !== this.sent) this.$emit("update:value", (this.sent = now)); },
  },
  methods: {
    send(text) { this.$emit("update:value", (this.current = this.sent = text)); },
  },
};
