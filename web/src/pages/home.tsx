import { useQuery } from '@tanstack/react-query';

import { queries } from '../api/backend.js';
import { AddressText, Empty, Failed, Loading, Says, Table } from '../ui/bits.js';
import { Search } from '../ui/search.js';
import { Link, useTitle } from '../router.js';

/** The look-up, and which projects there are. */
export function Home() {
  useTitle('');
  const projects = useQuery(queries.projects());
  return (
    <>
      <section className="hero">
        <h1>Who runs what, and what it earned</h1>
        <p>
          Every license, node, day and reward of this network. Nobody has to take the backend’s word:
          what a day paid is committed on chain, and this page checks it in your browser.
        </p>
        <Search large />
        <p className="quiet hints">
          A wallet or node address, a license as <code>collection/number</code>, a license’s hash, or a project’s name.
        </p>
      </section>
      <section className="card" aria-label="Projects">
        <header><h2>Projects</h2><Says who="backend" /></header>
        {projects.data === undefined
          ? projects.isError ? <Failed error={projects.error} what="the projects" again={() => void projects.refetch()} /> : <Loading what="projects" />
          : projects.data.length === 0
            ? <Empty title="No project yet">A project appears here once its creation in the registry is in a final block.</Empty>
            : (
              <Table caption="Projects of this network" head={['Project', 'First day', 'Distributor', 'Token', 'Owner']}>
                {projects.data.slice(0, 500).map(({ project, name, first_day, token, owner }) => (
                  <tr key={project}>
                    <th scope="row"><Link to={`/projects/${name}`}>{name}</Link></th>
                    <td className="number-left">{first_day}</td>
                    <td><AddressText address={project} /></td>
                    <td><AddressText address={token} /></td>
                    <td><AddressText address={owner} to={`/accounts/${owner}`} /></td>
                  </tr>
                ))}
              </Table>
            )}
      </section>
    </>
  );
}
