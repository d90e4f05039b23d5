/** Words that can be typed, with what may follow them. */
export interface Completable {
  readonly words: readonly string[];
  readonly summary: string;
  readonly options: readonly string[];
  /** Whether a file may follow. */
  readonly files: boolean;
}

/**
 * A completion script. All words are in it, so a Tab starts no process and answers at once.
 */
export function completionScript(shell: 'bash' | 'zsh' | 'fish', all: readonly Completable[]): string {
  const firsts = [...new Set(all.map(({ words: [first = ''] }) => first))].toSorted();
  const verbs = Map.groupBy(
    all.filter(({ words }) => words.length === 2),
    ({ words: [first = ''] }) => first,
  );
  if (shell === 'fish') return fish(firsts, all);
  return shell === 'bash' ? bash(firsts, verbs, all) : zsh(firsts, verbs, all);
}

type Verbs = ReadonlyMap<string, readonly Completable[]>;

const verbWords = (list: readonly Completable[]): string => list.map(({ words }) => words[1] ?? '').join(' ');

/** The branches of a `case` on the typed words: options of each command, verbs of each noun, whether files follow. */
function cases(all: readonly Completable[], verbs: Verbs, indent: string): string {
  const options = all.map(
    ({ words, options: list }) => `${indent}'${words.join(' ')}') options='${list.join(' ')}' ;;`,
  );
  const second = [...verbs].map(([noun, list]) => `${indent}'${noun} ') verbs='${verbWords(list)}' ;;`);
  return [...options, ...second].join('\n');
}

const filed = (all: readonly Completable[]): string =>
  all
    .filter(({ files }) => files)
    .map(({ words }) => words.join(' '))
    .join('|');

function bash(firsts: readonly string[], verbs: Verbs, all: readonly Completable[]): string {
  return `# bash completion for maos
_maos() {
  local word="\${COMP_WORDS[COMP_CWORD]}" first="\${COMP_WORDS[1]}" second="\${COMP_WORDS[2]}" options='' verbs='' key
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${firsts.join(' ')} --help --version' -- "$word"))
    return
  fi
  [ "$COMP_CWORD" -eq 2 ] && second=''
  for key in "$first" "$first $second"; do
    case "$key" in
${cases(all, verbs, '      ')}
    esac
  done
  if [[ "$word" == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$word"))
  elif [ "$COMP_CWORD" -eq 2 ]; then
    COMPREPLY=($(compgen -W "$verbs" -- "$word"))
  fi
  case "$first" in
    ${filed(all)}) [[ "$word" == -* ]] || COMPREPLY+=($(compgen -f -- "$word")) ;;
  esac
}
complete -o filenames -F _maos maos
`;
}

function zsh(firsts: readonly string[], verbs: Verbs, all: readonly Completable[]): string {
  return `#compdef maos
_maos() {
  local word="\${words[CURRENT]}" first="\${words[2]}" second="\${words[3]}" options='' verbs='' key
  if (( CURRENT == 2 )); then
    compadd -- ${firsts.join(' ')} --help --version
    return
  fi
  (( CURRENT == 3 )) && second=''
  for key in "$first" "$first $second"; do
    case "$key" in
${cases(all, verbs, '      ')}
    esac
  done
  if [[ "$word" == -* ]]; then
    compadd -- \${=options}
  elif (( CURRENT == 3 )); then
    compadd -- \${=verbs}
  fi
  case "$first" in
    ${filed(all)}) [[ "$word" == -* ]] || _files ;;
  esac
}
compdef _maos maos
`;
}

function fish(firsts: readonly string[], all: readonly Completable[]): string {
  const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const first = 'test (count (commandline -opc)) -eq 1';
  const lines = firsts.map((word) => {
    const summary = all.find(({ words }) => words.length === 1 && words[0] === word)?.summary;
    const about = summary === undefined ? '' : ` -d ${quoted(summary)}`;
    return `complete -c maos -f -n ${quoted(first)} -a ${word}${about}`;
  });
  const rest = all.flatMap(({ words, summary, options, files }) => {
    const [noun = '', verb] = words;
    const on = `__fish_seen_subcommand_from ${noun}`;
    const typed = verb === undefined ? on : `${on}; and __fish_seen_subcommand_from ${verb}`;
    const two = `test (count (commandline -opc)) -eq 2; and ${on}`;
    return [
      ...(verb === undefined ? [] : [`complete -c maos -f -n ${quoted(two)} -a ${verb} -d ${quoted(summary)}`]),
      ...(files ? [`complete -c maos -F -n ${quoted(on)}`] : []),
      ...options.map((option) => `complete -c maos -n ${quoted(typed)} -l ${option.slice(2)}`),
    ];
  });
  return ['# fish completion for maos', ...lines, ...rest, ''].join('\n');
}
