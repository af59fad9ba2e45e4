import type { Role } from '../api/types';
import { ROLE_NAMES, ROLE_WORDS, ROLES } from '../session/roles';

interface Props {
  value: Role;
  onChange: (role: Role) => void;
}

/** The roles, each with what it may do. */
export function RoleChoice({ value, onChange }: Props) {
  return (
    <fieldset class="options">
      <legend>Role</legend>
      {ROLES.map((role) => (
        <label class="option" key={role}>
          <input
            type="radio"
            name="role"
            value={role}
            checked={role === value}
            onChange={() => onChange(role)}
          />
          <span>
            <b>{ROLE_NAMES[role]}</b>
            <span class="option-words">{ROLE_WORDS[role]}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}
