import { mount } from 'svelte';
import '../../ui/base.css';
import Page from './Page.svelte';

const target = document.getElementById('app');
if (!target) throw new Error('the page has no element #app');
mount(Page, { target });
