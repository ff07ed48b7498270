// A table of texts. Its first column holds the rows' links or buttons; arrow keys move between them.
export default {
  template: `
    <div class="grid" tabindex="-1">
      <table>
        <caption :class="{hidden: !shown}">{{ caption }}</caption>
        <thead><tr><th v-if="choosable" class="check"><input type="checkbox" aria-label="All rows" :disabled="!rows.length"
          :checked="rows.length && chosen.length === rows.length" @change="choose($event.target.checked ? [...rows.keys()] : [])"></th><th v-for="(one, i) in columns" :key="i" scope="col" :class="one.align">{{ one.label }}</th></tr></thead>
        <tbody>
          <tr v-for="(row, r) in rows" :key="r" :class="row.kind">
            <td v-if="choosable" class="check"><input type="checkbox" :aria-label="'Row ' + (r + 1)" :checked="chosen.includes(r)"
              @change="choose($event.target.checked ? [...chosen, r] : chosen.filter(one => one !== r))"></td>
            <td v-for="(cell, c) in row.cells" :key="c" :class="[columns[c] && columns[c].align, cell.kind]"
                :title="cell.title || null">
              <a v-if="cell.href" :href="cell.href" :data-row="c ? null : r" @keydown="move($event, r)">{{ cell.text }}</a>
              <button v-else-if="cell.act" type="button" class="link" :data-row="c ? null : r" :aria-label="cell.label"
                @keydown="move($event, r)" @click="$emit('act', [r, cell.act])">{{ cell.text }}</button>
              <template v-else>{{ cell.text }}</template>
            </td>
          </tr>
        </tbody>
      </table>
      <p v-if="!rows.length" class="empty">{{ empty }}</p>
    </div>`,
  props: { columns: Array, rows: Array, caption: String, shown: Boolean, empty: String, choosable: Boolean },
  emits: ["act", "choose"],
  data() { return { chosen: [] }; },
  watch: { rows() { this.chosen = []; } },
  methods: {
    choose(rows) {
      this.chosen = rows;
      this.$emit("choose", rows);
    },
    move(event, row) {
      const steps = { ArrowDown: row + 1, ArrowUp: row - 1, Home: 0, End: this.rows.length - 1 };
      const wanted = steps[event.key];
      if (wanted === undefined) return;
      const next = this.$el.querySelector(`[data-row="${wanted}"]`);
      if (next) { event.preventDefault(); next.focus(); }
    },
  },
};
